import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, UpstreamProtocol } from './contender.ts'
import type { FloorOptions } from './floor-server.ts'
import type { Certificates } from './mesh.ts'
import { freePorts, listening, measuredCore, startOn } from './processes.ts'
import type { Upstream } from './upstream.ts'

/** What forwarding alone costs in Node, as a measure for the gateway. It checks nothing, so it answers everything. */
export const startFloor = async (
  name: string,
  protocol: UpstreamProtocol,
  parts: {
    readonly folder: string
    readonly certificates: Certificates
    readonly upstream: Upstream
    readonly nodeOptions: readonly string[]
  },
): Promise<Contender> => {
  const { folder, certificates, upstream, nodeOptions } = parts
  const [port = 0] = await freePorts(1)
  const upstreamPort = protocol === 'h2' ? upstream.h2Port : upstream.http1Port
  const options: FloorOptions = {
    port,
    endpoint: `https://127.0.0.1:${upstreamPort}`,
    certificateFile: certificates.edge.certificate,
    keyFile: certificates.edge.key,
    clientCertificateFile: certificates.gateway.certificate,
    clientKeyFile: certificates.gateway.key,
    rootsFile: certificates.meshRoots,
  }
  const records = join(folder, `${name}.none`)
  writeFileSync(records, '')
  const output = join(folder, `${name}.out`)
  const program = join(import.meta.dirname, 'floor-server.ts')
  const command = [process.execPath, ...nodeOptions, program, JSON.stringify(options)]
  const running = startOn(measuredCore, command, { output, folder })
  await listening(port, running, output)
  return { name, url: `https://localhost:${port}`, running, records }
}
