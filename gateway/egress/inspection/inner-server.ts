import type { TLSSocket } from 'node:tls'
import type { Log } from '#contract/telemetry'
import type { Doors } from '#http/doors'
import { hardenedServer, type ListenerLimits } from '#http/server'

export type InnerServerOptions = {
  readonly limits: ListenerLimits
  readonly doors: Pick<Doors, 'request' | 'upgrade' | 'connect' | 'turnedAway'>
  readonly log: Log
}

/** Serves HTTP within tunnels; it listens nowhere. */
export type InnerServer = {
  readonly serve: (socket: TLSSocket) => void
  readonly drain: () => void
  readonly close: () => void
}

/** The same server as under every listener, with the same limits; what it serves, others have accepted and decrypted. */
export const innerServer = ({ limits, doors, log }: InnerServerOptions): InnerServer => {
  const { server, connections } = hardenedServer(
    {
      limits,
      tls: { options: {}, reload: () => {} }, // it makes no handshakes
      proxyProtocol: undefined,
      handshaken: undefined,
      http2: undefined,
    },
    { ...doors, failed: (cause) => log.error({ err: cause }, 'a bug of ours: a request failed') },
  )
  server.emit('listening') // it never does; but from now on Node looks for requests that are too slow
  return {
    serve: (socket) => void server.emit('secureConnection', socket),
    drain: connections.drain,
    close: () => {
      connections.destroyAll()
      connections.stop()
      server.close() // ends Node's timer
    },
  }
}
