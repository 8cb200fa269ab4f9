import type { TLSSocket } from 'node:tls'
import type { Log } from '#contract/telemetry'
import type { Doors } from '#http/doors'
import type { CallerRequest, CallerResponse } from '#http/caller'
import type { Http2Limits } from '#http/h2-server/limits'
import { hardenedServer, type ListenerLimits } from '#http/server'

export type InnerServerOptions = {
  readonly limits: ListenerLimits
  /** Undefined where HTTP/2 is not offered. */
  readonly http2: Http2Limits | undefined
  readonly doors: Pick<Doors, 'upgrade' | 'connect' | 'turnedAway'> & {
    /** Of whichever version of HTTP. */
    readonly request: (req: CallerRequest, res: CallerResponse) => void | Promise<void>
  }
  readonly log: Log
}

/** Serves HTTP within tunnels; it listens nowhere. */
export type InnerServer = {
  readonly serve: (socket: TLSSocket) => void
  readonly drain: () => void
  readonly close: () => void
}

/** The same server as under every listener, with the same limits; what it serves, others have accepted and decrypted. */
export const innerServer = ({ limits, http2, doors, log }: InnerServerOptions): InnerServer => {
  const { server, connections } = hardenedServer(
    {
      limits,
      tls: { options: {}, reload: () => {} }, // it makes no handshakes
      proxyProtocol: undefined,
      handshaken: undefined,
      // What a connection was ended for stands in the record of its tunnel.
      http2: http2 && { limits: http2, request: doors.request, abused: () => {} },
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
