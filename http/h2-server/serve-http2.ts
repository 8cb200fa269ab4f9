import { createServer, type ServerHttp2Session } from 'node:http2'
import type { Server as HttpsServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { peerOf, type Peer } from '../peer.ts'
import type { ListenerLimits } from '../server.ts'
import type { H2Request } from './caller-request.ts'
import type { H2Response } from './caller-response.ts'
import { maxOutstandingPings, maxSettings, type Http2Limits } from './limits.ts'
import { serveSession, type Session } from './session.ts'

export type Http2Options = {
  readonly limits: ListenerLimits & Http2Limits
  readonly request: (req: H2Request, res: H2Response) => void
  /** Whether who is at the other end may speak HTTP/2; asked once a connection, after its handshake. */
  readonly isFor: (socket: TLSSocket) => boolean
  /** Told of a connection that was ended because its other end may not. */
  readonly notFor: () => void
  readonly refusedStreams: (count: number) => void
  readonly abused: (peer: Peer, cause: string) => void
  readonly sweepIntervalMs: number
}

/** The connections of a listener that speak HTTP/2. */
export type Http2Connections = {
  /** From now on each connection ends as soon as nothing is open on it any more. Goes on serving. */
  readonly drain: () => void
  /** Ends each connection once all that is open on it is answered. */
  readonly finish: () => void
  readonly cutOff: (isCutOff: (peer: Peer) => boolean) => void
  readonly destroyAll: () => void
  readonly stop: () => void
}

/** `:method`, `:scheme`, `:authority`, `:path`, and as many that the gate is still to refuse in words. */
const headerPairsOnTop = 28

/**
 * Takes over those connections of an HTTPS server whose callers have chosen `h2` (ALPN); all others go to the server as
 * ever, so HTTP/1.1 is served as if there were nothing else.
 *
 * @see RFC 9113; limits by CVE in `limits.ts` and the tests of `test/http/h2-server`
 */
export const serveHttp2 = (
  server: HttpsServer,
  { limits, request, isFor, notFor, refusedStreams, abused, sweepIntervalMs }: Http2Options,
): Http2Connections => {
  const sessions = new Set<Session>()
  let isDraining = false
  let isFinishing = false
  const http2 = createServer({
    maxSessionMemory: limits.maxMemoryMegabytes,
    maxHeaderListPairs: limits.maxHeaderPairs + headerPairsOnTop,
    maxOutstandingPings,
    maxSettings,
    maxSessionInvalidFrames: limits.maxInvalidFrames,
    maxSessionRejectedStreams: limits.maxConcurrentStreams,
    streamResetBurst: limits.resetBurst,
    streamResetRate: limits.resetsPerSecond,
    settings: {
      enablePush: false,
      enableConnectProtocol: false,
      maxConcurrentStreams: limits.maxConcurrentStreams,
      maxHeaderListSize: limits.maxHeaderBytes,
      initialWindowSize: limits.receiveWindowBytes,
    },
  })
  const begun = (socket: TLSSocket) => (session: ServerHttp2Session) => {
    peerOf(socket) // read while it is there: what breaks the protocol may end it before anyone asks
    const serving = serveSession(session, socket, {
      limits,
      request: (req, res) => {
        if (isDraining) serving.closeSoon()
        request(req, res)
      },
      refusedStreams,
      abused: (of, cause) => abused(peerOf(of), cause),
    })
    sessions.add(serving)
    session.once('close', () => sessions.delete(serving))
    if (isFinishing) serving.close()
  }
  const [serveHttp1] = server.listeners('secureConnection') as ((socket: TLSSocket) => void)[]
  if (!serveHttp1) throw new Error('a server that serves nothing')
  server.off('secureConnection', serveHttp1)
  server.prependListener('secureConnection', (socket: TLSSocket) => {
    if (socket.alpnProtocol !== 'h2') return serveHttp1.call(server, socket)
    if (!isFor(socket)) {
      notFor()
      socket.destroy()
      return
    }
    http2.once('session', begun(socket)) // emitted before `emit` returns
    http2.emit('connection', socket)
  })
  const sweep = setInterval(() => {
    const nowMs = performance.now()
    for (const session of sessions) session.sweep(nowMs)
  }, sweepIntervalMs).unref()
  const each = (act: (session: Session) => void) => {
    for (const session of sessions) act(session)
  }

  return {
    drain: () => {
      isDraining = true
      each((session) => session.closeSoon())
    },
    finish: () => {
      isFinishing = true
      each((session) => session.close())
    },
    cutOff: (isCutOff) =>
      each((session) => {
        if (isCutOff(peerOf(session.socket))) session.close()
      }),
    destroyAll: () => each((session) => session.destroy()),
    stop: () => clearInterval(sweep),
  }
}
