import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contender, UpstreamProtocol } from './contender.ts'
import type { FloorOptions } from './floor-server.ts'
import type { Certificates } from './mesh.ts'
import type { PlainProxyOptions } from './plain-proxy-server.ts'
import { freePorts, listening, measuredCore, startOn } from './processes.ts'
import type { Upstream } from './upstream.ts'

type FloorParts = {
  readonly folder: string
  readonly certificates: Certificates
  readonly upstream: Upstream
  readonly nodeOptions: readonly string[]
}

/** What forwarding alone costs in Node, as a measure for the gateway. It checks nothing, so it answers everything. */
export const startFloor = (
  name: string,
  protocol: UpstreamProtocol,
  parts: FloorParts,
): Promise<Contender> => start(name, protocol, parts, 'floor-server.ts', {})

/** The same by `@fastify/http-proxy`, which is what one would begin with. */
export const startPlainProxy = (
  name: string,
  protocol: UpstreamProtocol,
  connections: number,
  parts: FloorParts,
): Promise<Contender> =>
  start(name, protocol, parts, 'plain-proxy-server.ts', { connections, h2: protocol === 'h2' })

const start = async (
  name: string,
  protocol: UpstreamProtocol,
  { folder, certificates, upstream, nodeOptions }: FloorParts,
  program: string,
  more: object,
): Promise<Contender> => {
  const [port = 0] = await freePorts(1)
  const upstreamPort = protocol === 'h2' ? upstream.h2Port : upstream.http1Port
  const options: FloorOptions & Partial<PlainProxyOptions> = {
    port,
    endpoint: `https://127.0.0.1:${upstreamPort}`,
    certificateFile: certificates.edge.certificate,
    keyFile: certificates.edge.key,
    clientCertificateFile: certificates.gateway.certificate,
    clientKeyFile: certificates.gateway.key,
    rootsFile: certificates.meshRoots,
    ...more,
  }
  const records = join(folder, `${name}.none`)
  writeFileSync(records, '')
  const output = join(folder, `${name}.out`)
  const file = join(import.meta.dirname, program)
  const command = [process.execPath, ...nodeOptions, file, JSON.stringify(options)]
  const running = startOn(measuredCore, command, { output, folder })
  await listening(port, running, output)
  return { name, url: `https://localhost:${port}`, running, records }
}
