import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { startGateway, type Exchange, type MeshParts } from './gateway.ts'
import { ids } from './mesh.ts'
import {
  freePorts,
  listening,
  measuredCore,
  otherCore,
  startOn,
  type Running,
} from './processes.ts'
import { fill } from './rivals.ts'

/** What tunnels go through. */
export type TunnelContender = {
  readonly name: string
  readonly running: Running
  /** Opens one, up to where bytes can go; rejects with what was said instead. */
  readonly open: () => Promise<OpenTunnel>
}

export type OpenTunnel = {
  readonly socket: Socket
  /** Told of what comes from now on; the memory is read into again once it returns. */
  readonly read: (take: (chunk: Buffer) => void) => void
}

/** All read into it, one after the other: memory for each read would cost the load more than it costs to be let through. */
const buffer = Buffer.allocUnsafeSlow(65_536)

const reading = () => {
  let take: (chunk: Buffer) => void = () => {}
  const callback = (bytes: number): boolean => {
    take(buffer.subarray(0, bytes))
    return true
  }
  return {
    onread: { buffer, callback },
    read: (given: typeof take) => {
      take = given
    },
  }
}

export type TunnelParts = MeshParts & { readonly targetPort: number }

const programOf = (file: string) => join(import.meta.dirname, file)

/** Where all of them lead. */
export const startTunnelEnd = async (folder: string) => {
  const [port = 0] = await freePorts(1)
  const output = join(folder, 'tunnel-end.out')
  const running = startOn(otherCore, [process.execPath, programOf('tunnel-end.ts'), String(port)], {
    output,
    folder,
  })
  await listening(port, running, output)
  return { port, running }
}

/** `net` piped to `net`, with TLS or without. */
export const startBarePipe = async (
  name: string,
  withTls: boolean,
  parts: TunnelParts,
): Promise<TunnelContender> => {
  const { folder, certificates, targetPort } = parts
  const [port = 0] = await freePorts(1)
  const output = join(folder, `${name}.out`)
  const { edge, meshRoots } = certificates
  const tls = withTls ? [edge.certificate, edge.key, meshRoots] : []
  const command = [programOf('bare-pipe.ts'), String(port), String(targetPort), ...tls]
  const running = startOn(measuredCore, [process.execPath, ...command], { output, folder })
  await listening(port, running, output)
  return {
    name,
    running,
    open: withTls
      ? () => tlsTo(port, parts)
      : async () => {
          const { onread, read } = reading()
          const socket = connect({ port, host: '127.0.0.1', onread })
          return { socket: await connected(socket, 'connect'), read }
        },
  }
}

/** The gateway with all that it does for a tunnel; the destination is opened to the workload by its address. */
export const startEgress = async (
  name: string,
  maxTunnels: number,
  parts: TunnelParts & { readonly exchange: Exchange },
): Promise<TunnelContender & { readonly adminPort: number }> => {
  const [port = 0] = await freePorts(1)
  const { edge } = parts.certificates
  const { running, adminPort } = await startGateway(
    name,
    {
      protocol: 'h2',
      endpoint: `https://127.0.0.1:${parts.targetPort}`,
      egress: {
        listener: {
          port,
          tls: { certificates: [{ certificateFile: edge.certificate, keyFile: edge.key }] },
          limits: { maxConnections: maxTunnels + 1000 },
        },
        section: {
          rules: [
            {
              id: 'bench',
              team: 'shop',
              workloads: [ids.rival],
              destinations: [
                { networks: ['127.0.0.1/32'], ports: [parts.targetPort], protocol: 'tcp' },
              ],
              limits: { maxTunnels: maxTunnels + 1000, idleSeconds: 3600 },
            },
          ],
        },
      },
    },
    parts,
  )
  return { name, running, adminPort, open: () => tunnelBy(port, parts) }
}

/** Squid by `rivals/squid.conf`. It gives up root, so it writes to a folder of its own. */
export const startSquid = async (name: string, parts: TunnelParts): Promise<TunnelContender> => {
  const { folder, certificates, targetPort } = parts
  const [port = 0] = await freePorts(1)
  const logs = join(folder, 'squid')
  mkdirSync(logs)
  chmodSync(folder, 0o711)
  chmodSync(logs, 0o777)
  const config = fill(name, 'squid.conf', folder, {
    PORT: port,
    TARGET_PORT: targetPort,
    EDGE_CERTIFICATE: certificates.edge.certificate,
    EDGE_KEY: certificates.edge.key,
    MESH_ROOTS: certificates.meshRoots,
    RECORDS: join(logs, 'access.log'),
    LOGS: logs,
  })
  const output = join(folder, `${name}.out`)
  const running = startOn(measuredCore, ['squid', '-N', '-f', config], { output, folder })
  await listening(port, running, output)
  return { name, running, open: () => tunnelBy(port, parts) }
}

const tlsTo = async (port: number, { certificates }: TunnelParts): Promise<OpenTunnel> => {
  const { edgeRoot, rival } = certificates
  const { onread, read } = reading()
  const options = {
    port,
    host: '127.0.0.1',
    servername: 'localhost',
    ca: textOf(edgeRoot),
    cert: textOf(rival.certificate),
    key: textOf(rival.key),
    onread, // Node takes it, its types do not know
  }
  return { socket: await connected(connectTls(options), 'secureConnect'), read }
}

const texts = new Map<string, string>()
const textOf = (file: string): string => {
  const known = texts.get(file) ?? readFileSync(file, 'utf8')
  texts.set(file, known)
  return known
}

const tunnelBy = async (port: number, parts: TunnelParts): Promise<OpenTunnel> => {
  const { socket, read } = await tlsTo(port, parts)
  const place = `127.0.0.1:${parts.targetPort}`
  socket.write(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('closed instead of an answer')))
    read((head) => {
      if (/^HTTP\/1\.1 200 [^]*\r\n\r\n$/.test(head.toString('latin1'))) resolve({ socket, read })
      else reject(new Error(`no tunnel: ${head.toString('latin1')}`))
    })
  })
}

const connected = <S extends Socket>(socket: S, event: string): Promise<S> =>
  new Promise((resolve, reject) => {
    socket.once(event, () => resolve(socket))
    socket.once('error', reject)
    socket.on('error', () => {})
  })
