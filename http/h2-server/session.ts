import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { TLSSocket } from 'node:tls'
import { places } from '#contract/places'
import type { ListenerLimits } from '../server.ts'
import { slowReaderJudge, type SlowReaderLimits } from '../slow-reader.ts'
import { markFault } from '../socket-fault.ts'
import { replyProblem } from '../problem-reply.ts'
import { budget } from './budget.ts'
import { H2Request } from './caller-request.ts'
import { H2Response } from './caller-response.ts'
import { endAbusive } from './end-abusive.ts'
import type { Http2Limits } from './limits.ts'
import { followStream } from './stream-events.ts'

export type SessionOptions = {
  readonly limits: ListenerLimits & Http2Limits
  readonly request: (req: H2Request, res: H2Response) => void
  /** Told of as many streams as were refused unseen: beyond a limit, or malformed. */
  readonly refusedStreams: (count: number) => void
  /** It broke the protocol or one of our limits, and was ended for it. Told once. */
  readonly abused: (socket: TLSSocket, cause: string) => void
}

/** One connection of HTTP/2. */
export type Session = {
  readonly socket: TLSSocket
  /**
   * Tells the caller which of its requests are served, and ends it once they are answered. The caller knows of all others
   * that nobody has looked at them, and sends them elsewhere (RFC 9113 §6.8).
   */
  readonly close: () => void
  /** The same, at the next moment at which nothing is open. */
  readonly closeSoon: () => void
  readonly destroy: () => void
  /** Looks for a caller that does not read, or stands still. */
  readonly sweep: (nowMs: number) => void
}

/** Of frames that are no part of a request, at once and each second: more than anyone needs. */
const idleTalkBytes = 1024 * 1024
/** What was sent last may still arrive, and the caller close by itself. */
const lingerMs = 2000
const abusedLingerMs = 200

/** Serves a connection: its streams come to `request`, its limits hold, and it ends well. */
export const serveSession = (
  session: ServerHttp2Session,
  socket: TLSSocket,
  { limits, request, refusedStreams, abused }: SessionOptions,
): Session => {
  const { maxHeaderBytes } = limits
  const open = places<H2Response>()
  const control = budget(limits.controlFrameBurst, limits.controlFramesPerSecond)
  const isSlow = slowReaderJudge(limits)
  const stillness = stillnessOf(socket)
  const idleTalk = budget(idleTalkBytes, idleTalkBytes)
  /** What requests of the past have brought, and what has been accounted for. */
  let broughtBytes = 0
  let accountedBytes = 0
  let streams = 0
  let nextId = 1
  let refused = 0
  let isClosingSoon = false
  let isAbused = false

  const abuse = (cause: string) => {
    if (isAbused) return
    isAbused = true
    markFault(socket, 'connection-abused')
    abused(socket, cause)
    endAbusive(session)
  }
  /** Those below `id` that came and were never shown to us. */
  const countRefused = (id: number) => {
    const skipped = (id - nextId) / 2
    nextId = Math.max(nextId, id)
    if (skipped <= 0) return
    refusedStreams(skipped)
    refused += skipped
    if (refused > limits.maxInvalidFrames)
      abuse('more streams that are malformed or too many than a connection may send')
  }
  const close = () => {
    if (!session.destroyed) session.close()
  }
  const end = () => {
    session.destroy()
    socket.destroy() // of itself it would wait for what it cannot send
  }
  let idle: NodeJS.Timeout | undefined = setTimeout(close, limits.idleTimeoutMs)

  /** Frames that ask for nothing cost little each; so may they, in proportion to what is asked and answered. */
  const judgeIdleTalk = () => {
    let bytes = broughtBytes
    for (const { req } of open.all()) bytes += req.headBytes + req.bodyBytes
    const unasked = socket.bytesRead - socket.bytesWritten - limits.receiveWindowBytes - bytes
    if (unasked <= accountedBytes) return
    if (!idleTalk.spend(unasked - accountedBytes))
      abuse('more frames that ask for nothing than a connection may send')
    accountedBytes = unasked
  }
  const ended = ({ headBytes, bodyBytes }: H2Request, place: number) => {
    open.leave(place)
    broughtBytes += headBytes + bodyBytes
    if (open.count() > 0 || session.destroyed) return
    if (isClosingSoon) close()
    else idle = setTimeout(close, limits.idleTimeoutMs)
  }
  session.on('stream', (stream: ServerHttp2Stream, headers, _flags, raw) => {
    if (isAbused) return
    countRefused(stream.id ?? 0)
    nextId += 2
    clearTimeout(idle)
    control.refill()
    const req = new H2Request(stream, { headers, raw, maxHeaderBytes }, socket)
    const res = new H2Response(stream, req)
    const place = open.take(res)
    followStream(stream, {
      data: (chunk) => req.bodyCame(chunk),
      ended: () => req.bodyEnded(),
      aborted: () => {
        req.streamGone()
        res.destroy()
      },
      wantsTrailers: () => res.sendTrailers(),
      closed: () => {
        clearTimeout(req.arrivalTimer)
        req.streamGone()
        ended(req, place)
      },
    })
    if (!req.complete) limitArrival(req, res, limits.requestTimeoutMs)
    streams += 1
    if (streams >= limits.maxRequestsPerConnection) close()
    request(req, res)
  })
  const onControl = () => {
    if (!control.spend()) abuse('more PING and SETTINGS frames than a connection may send')
  }
  session.on('ping', onControl).on('remoteSettings', onControl)
  session.on('error', (error: NodeJS.ErrnoException) => {
    if (brokenBy.has(error.code ?? '')) abuse(error.message)
  })
  session.on('close', () => {
    clearTimeout(idle)
    const end = setTimeout(() => socket.destroy(), isAbused ? abusedLingerMs : lingerMs)
    if (socket.destroyed) clearTimeout(end)
    else socket.once('close', () => clearTimeout(end))
  })
  socket.prependListener('close', () => {
    const { lastProcStreamID } = session.destroyed ? {} : session.state
    if (lastProcStreamID) countRefused(lastProcStreamID + 2)
  })
  if (limits.receiveWindowBytes > defaultWindowBytes)
    session.setLocalWindowSize(limits.receiveWindowBytes)

  return {
    socket,
    close,
    closeSoon: () => {
      isClosingSoon = true
    },
    destroy: end,
    sweep: (nowMs) => {
      const still = stillness(nowMs)
      // It can be told of nothing any more, for what was written last does not go out.
      const isOver = session.closed || session.destroyed || open.all().some((res) => res.destroyed)
      if (isOver && still.forMs > allowedMs(limits, still.writtenBytes)) return end()
      if (session.destroyed) return
      const { stalledTimeoutMs } = limits
      if (open.count() > 0 && stalledTimeoutMs > 0 && still.forMs > stalledTimeoutMs) return end()
      countRefused(session.state.lastProcStreamID ?? 0)
      judgeIdleTalk()
      for (const res of open.all()) if (isSlow(res, nowMs)) res.destroy()
    },
  }
}

const defaultWindowBytes = 65_535

/** What nghttp2 ends a connection for. Another end of the line, such as ECONNRESET, is nobody's fault. */
const brokenBy: ReadonlySet<string> = new Set([
  'ERR_HTTP2_ERROR',
  'ERR_HTTP2_TOO_MANY_INVALID_FRAMES',
  'ERR_HTTP2_TOO_MANY_CUSTOM_SETTINGS',
])

/** A body must be here in time. */
const limitArrival = (req: H2Request, res: H2Response, timeoutMs: number): void => {
  if (timeoutMs === 0) return
  const tooLate = () => {
    if (req.complete) return
    markFault(req, 'request-timeout')
    if (req.isBeingRead) req.destroy()
    else if (res.headersSent) res.destroy()
    else replyProblem(res, { tag: 'request-timeout' })
  }
  req.arrivalTimer = setTimeout(tooLate, timeoutMs)
}

type Still = {
  /** Nothing has moved, either way. */
  readonly forMs: number
  /** Handed on for sending at the last movement; the kernel may have taken none of it. */
  readonly writtenBytes: number
}

const stillnessOf = (socket: TLSSocket): ((nowMs: number) => Still) => {
  let read = -1
  let written = 0
  let writtenBytes = 0
  let sinceMs = 0
  return (nowMs) => {
    const { bytesRead, bytesWritten } = socket
    if (bytesRead !== read || bytesWritten !== written) {
      writtenBytes = bytesWritten - written
      read = bytesRead
      written = bytesWritten
      sinceMs = nowMs
    }
    return { forMs: nowMs - sinceMs, writtenBytes }
  }
}

/** As slow as a reader may be. */
const allowedMs = (
  { slowReadGraceMs, minReadBytesPerSecond }: SlowReaderLimits,
  bytes: number,
): number =>
  minReadBytesPerSecond === 0 ? Infinity : slowReadGraceMs + (bytes / minReadBytesPerSecond) * 1000
