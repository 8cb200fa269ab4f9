import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { readFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
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
  readonly open: () => Promise<Socket>
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
      : () => connected(connect(port, '127.0.0.1'), 'connect'),
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

const tlsTo = async (port: number, { certificates }: TunnelParts): Promise<TLSSocket> => {
  const { edgeRoot, rival } = certificates
  return connected(
    connectTls({
      port,
      host: '127.0.0.1',
      servername: 'localhost',
      ca: textOf(edgeRoot),
      cert: textOf(rival.certificate),
      key: textOf(rival.key),
    }),
    'secureConnect',
  )
}

const texts = new Map<string, string>()
const textOf = (file: string): string => {
  const known = texts.get(file) ?? readFileSync(file, 'utf8')
  texts.set(file, known)
  return known
}

const tunnelBy = async (port: number, parts: TunnelParts): Promise<Socket> => {
  const socket = await tlsTo(port, parts)
  const place = `127.0.0.1:${parts.targetPort}`
  socket.write(`CONNECT ${place} HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
  return new Promise((resolve, reject) => {
    socket.once('close', () => reject(new Error('closed instead of an answer')))
    socket.once('data', (head: Buffer) => {
      if (/^HTTP\/1\.1 200 [^]*\r\n\r\n$/.test(head.toString('latin1'))) resolve(socket)
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
