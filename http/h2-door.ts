import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Http2ServerRequest, type Http2Session } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import type { TurnedAwayReason } from './doors.ts'
import { budget } from './h2-server/budget.ts'
import { endAbusive } from './h2-server/end-abusive.ts'
import { defaultHttp2Limits, maxOutstandingPings, maxSettings } from './h2-server/limits.ts'
import type { RawHead } from './raw-gate.ts'

export type H2DoorOptions = {
  /** Whether who is at the other end may speak HTTP/2. Asked once a connection, after its handshake. */
  readonly isFor: (socket: TLSSocket) => boolean
}

export type H2DoorParts = H2DoorOptions & {
  readonly limits: {
    readonly maxHeaderBytes: number
    readonly maxHeaderPairs: number
    readonly maxRequestsPerConnection: number
    readonly stalledTimeoutMs: number
  }
  /** Takes each request, with Node's answer of the same form as for HTTP/1.1. */
  readonly request: (req: IncomingMessage, res: ServerResponse) => void
  readonly turnedAway: (reason: TurnedAwayReason) => void
}

export type H2Door = {
  /** Takes a connection whose handshake chose `h2`. */
  readonly accept: (socket: TLSSocket) => void
  /** Tells every peer to ask no more on its connection; what it has asked is answered. */
  readonly drain: () => void
}

const { controlFrameBurst, controlFramesPerSecond } = defaultHttp2Limits
const maxConcurrentStreams = 256
/** All that may ask at once has room for a form, without waiting for Node to have read the others'. */
const connectionWindowBytes = 1_048_576
/** A gateway cancels all that it has asked when it waits in vain, and then asks again. */
const resetBurst = 2 * maxConcurrentStreams
const resetsPerSecond = maxConcurrentStreams

/**
 * HTTP/2 beside HTTP/1.1 for peers that are known. All others are cut off: the checks of a caller's HTTP/1.1 connection
 * (`doors.ts`, `connections.ts`) have no counterpart here. The many questions of one peer share a connection, and those
 * of one moment a read and a write.
 */
export const h2Door = ({ isFor, limits, request, turnedAway }: H2DoorParts): H2Door => {
  const connections = new Map<Http2Session, { readonly socket: TLSSocket; requests: number }>()
  let arriving: TLSSocket | undefined
  const server = createServer({
    maxSessionMemory: defaultHttp2Limits.maxMemoryMegabytes,
    maxSessionInvalidFrames: defaultHttp2Limits.maxInvalidFrames,
    maxHeaderListPairs: limits.maxHeaderPairs,
    maxOutstandingPings,
    maxSettings,
    streamResetBurst: resetBurst,
    streamResetRate: resetsPerSecond,
    settings: { enablePush: false, maxConcurrentStreams, maxHeaderListSize: limits.maxHeaderBytes },
  })
  server.on('session', (session) => {
    if (arriving !== undefined) connections.set(session, { socket: arriving, requests: 0 })
    session.once('close', () => connections.delete(session))
    session.on('error', () => {}) // its 'close' follows
    session.setTimeout(limits.stalledTimeoutMs, () => session.close())
    session.setLocalWindowSize(connectionWindowBytes)
    const control = budget(controlFrameBurst, controlFramesPerSecond)
    let isAbused = false
    const onControl = () => {
      if (isAbused || control.spend()) return
      isAbused = true
      turnedAway('http2-connection')
      endAbusive(session)
    }
    session.on('stream', control.refill).on('ping', onControl).on('remoteSettings', onControl)
  })
  server.on('sessionError', () => turnedAway('parse'))
  server.on('request', (req, res) => {
    const { session } = req.stream
    const connection = session && connections.get(session)
    if (connection === undefined) return void res.stream.destroy() // it has gone already
    connection.requests += 1
    // As with HTTP/1.1: after so many the peer has to come with another connection.
    if (connection.requests === limits.maxRequestsPerConnection) session?.close()
    req.headers.host ??= req.authority
    // Node has a new proxy of it for each request; what is known of a connection is kept by the socket itself.
    Object.defineProperty(req, 'socket', { value: connection.socket })
    request(req as unknown as IncomingMessage, res as unknown as ServerResponse)
  })
  return {
    accept: (socket) => {
      if (!isFor(socket)) {
        turnedAway('other')
        socket.destroy()
        return
      }
      arriving = socket
      server.emit('connection', socket)
      arriving = undefined
    },
    drain: () => {
      for (const session of connections.keys()) session.close()
    },
  }
}

/**
 * The head as HTTP/1.1 would have it, for the one gate. Node has checked what HTTP/2 asks of it: pseudo-headers first,
 * each once, none that is unknown; names in lower case; no header of a connection.
 */
export const headOf = (req: IncomingMessage): RawHead =>
  req.httpVersionMajor === 2 ? withoutPseudoHeaders(req as unknown as Http2ServerRequest) : req

const withoutPseudoHeaders = ({
  method,
  url,
  authority,
  rawHeaders,
}: Http2ServerRequest): RawHead => {
  const fields = ['host', authority]
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] ?? ''
    if (!name.startsWith(':')) fields.push(name, rawHeaders[at + 1] ?? '')
  }
  return { method, url, httpVersion: '1.1', rawHeaders: fields }
}
