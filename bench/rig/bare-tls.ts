import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender } from './contender.ts'
import type { Certificates } from './mesh.ts'
import { freePorts, listening, measuredCore, startOn } from './processes.ts'

/** A server of `node:https` that answers a constant. */
export const startBareTls = async (
  name: string,
  { folder, certificates }: { readonly folder: string; readonly certificates: Certificates },
): Promise<Contender> => {
  const [port = 0] = await freePorts(1)
  const records = join(folder, `${name}.none`)
  writeFileSync(records, '')
  const output = join(folder, `${name}.out`)
  const { certificate, key } = certificates.edge
  const program = join(import.meta.dirname, 'bare-tls-server.ts')
  const command = [process.execPath, program, String(port), certificate, key]
  const running = startOn(measuredCore, command, { output, folder })
  await listening(port, running, output, { everyMs: 5 })
  return { name, url: `https://localhost:${port}`, running, records }
}
