/**
 * A TLS client of benchmarks, on a core of its own. Prints one line of JSON. Arguments: JSON.
 *
 * `handshakes`: makes connections for some seconds, so many at once, each ended when its handshake is done.
 * `idle`: opens so many connections, asks one thing on each, prints, and keeps them until it is ended.
 */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'

export type TlsClientOptions = {
  readonly port: number
  readonly rootsFile: string
} & (
  | {
      readonly what: 'handshakes'
      readonly resumed: boolean
      readonly seconds: number
      readonly atOnce: number
    }
  | { readonly what: 'idle'; readonly connections: number }
)

export type Handshakes = { readonly handshakes: number; readonly resumed: number }

const options = JSON.parse(process.argv[2] ?? '{}') as TlsClientOptions
const usual: ConnectionOptions = {
  host: '127.0.0.1',
  port: options.port,
  servername: 'localhost',
  ca: readFileSync(options.rootsFile),
  ALPNProtocols: ['http/1.1'],
}
const request = 'GET /none HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** A session of a connection that has asked and been answered: by then its ticket is there. */
const sessionOf = async (): Promise<Buffer> => {
  const socket = connect(usual)
  const ticket = once(socket, 'session') as Promise<[Buffer]>
  await once(socket, 'secureConnect')
  socket.write(request)
  const [session] = await ticket
  socket.destroy()
  return session
}

const handshakes = async (
  resumed: boolean,
  seconds: number,
  atOnce: number,
): Promise<Handshakes> => {
  const more = resumed ? { session: await sessionOf() } : {}
  const until = performance.now() + seconds * 1000
  const seen = { handshakes: 0, resumed: 0 }
  const one = async () => {
    while (performance.now() < until) {
      const socket = connect({ ...usual, ...more })
      await once(socket, 'secureConnect')
      seen.handshakes += 1
      if (socket.isSessionReused()) seen.resumed += 1
      socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  return seen
}

const idle = async (connections: number): Promise<readonly TLSSocket[]> => {
  const open: TLSSocket[] = []
  const one = async () => {
    while (open.length < connections) {
      const socket = connect(usual)
      open.push(socket)
      await once(socket, 'secureConnect')
      socket.write(request)
      await once(socket, 'data')
      socket.pause()
    }
  }
  await Promise.all(Array.from({ length: 32 }, one))
  return open
}

if (options.what === 'handshakes') {
  const seen = await handshakes(options.resumed, options.seconds, options.atOnce)
  console.log(JSON.stringify(seen))
} else {
  const open = await idle(options.connections)
  console.log(JSON.stringify({ open: open.length }))
  process.on('SIGTERM', () => {
    for (const socket of open) socket.destroy()
    process.exit(0)
  })
}
