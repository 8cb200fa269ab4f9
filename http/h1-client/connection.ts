import type { Duplex } from 'node:stream'
import type { Inlet } from '../h2-client/open-connection.ts'
import { type AnswerReader, answerReader } from './answer-reader.ts'
import type { AnswerHead } from './answer-head.ts'
import { type Exchange, failExchange } from './exchange.ts'
import { startUpload, type Upload } from './upload.ts'

/** What the owner of a connection is told. */
export type ConnectionEvents = {
  /** An answer is whole, and the connection may have another request from the next turn of the event loop on. */
  readonly free: (connection: Connection) => void
  /** It is closed. Called once. */
  readonly gone: (connection: Connection) => void
}

/** One connection, on which there is one request at a time. */
export type Connection = {
  /** What is on it. */
  readonly exchange: () => Exchange | undefined
  readonly start: (exchange: Exchange, nowMs: number) => void
  readonly isOpen: () => boolean
  /** Until when it may be kept without a request. */
  readonly keptUntilMs: () => number
  readonly resume: () => void
  /** Ends a request that has waited too long. */
  readonly checkDeadline: (nowMs: number) => void
  /** Ends it; what is on it is `broken`, unless it was told before why it ends. */
  readonly destroy: (cause: Error) => void
}

/** Peers end idle connections at the time that they say, so ours have to end before. */
const keptMarginMs = 1000
const nothing = Buffer.alloc(0)
/** A body up to this size goes out with its head in one write; a longer one is not worth copying. */
const maxBytesWithHead = 16_384
const noTrailers: readonly string[] = Object.freeze([])

/** @param socket Its peer is verified. */
export const openConnection = (
  socket: Duplex,
  inlet: Inlet,
  idleMs: number,
  parseHead: (text: string) => AnswerHead | string,
  events: ConnectionEvents,
): Connection => {
  let exchange: Exchange | undefined
  let upload: Upload | undefined
  let isLast = false
  let isClosed = false
  let hasEnded = false
  /** Of what is being read. */
  let nowMs = performance.now()
  let keptUntilMs = nowMs + idleMs
  let keptMs = idleMs

  const isPaused = () => exchange?.paused === true

  const destroy = (cause: Error) => {
    if (isClosed) return
    isClosed = true
    const failed = exchange
    exchange = undefined
    reader.stop()
    upload?.stop()
    socket.destroy()
    events.gone(connection)
    if (failed) failExchange(failed, { kind: 'broken', cause, unsent: false })
  }

  const end = (isClean: boolean) => {
    const ended = exchange
    if (ended === undefined) return
    exchange = undefined
    // An answer that comes before the request's end means that the rest is not wanted (RFC 9112 §9.5).
    const isWhole = upload?.isDone() ?? true
    upload?.stop()
    upload = undefined
    if (isClean && isWhole && !isLast && !hasEnded && keptMs > 0) {
      keptUntilMs = nowMs + keptMs
      events.free(connection)
    } else destroy(new Error('its last answer is whole'))
    if (ended.state === 'done') return
    ended.state = 'done'
    ended.handler.onEnd(noTrailers)
  }

  const reader: AnswerReader = answerReader(
    {
      head: (head) => {
        if (exchange === undefined) return
        exchange.progressMs = nowMs
        if (head.status < 200) return exchange.handler.onInformation?.(head.status, head.headers)
        exchange.headReceived = true
        isLast = head.isLast
        keptMs = Math.min(idleMs, head.keptMs - keptMarginMs)
        exchange.handler.onHead(head.status, head.headers)
      },
      data: (chunk, last) => {
        if (exchange === undefined) return
        exchange.progressMs = nowMs
        exchange.handler.onData(chunk, last)
      },
      end,
      wantsMore: () => exchange !== undefined && !exchange.paused,
    },
    parseHead,
  )

  const take = (bytes: Buffer) => {
    if (isClosed) return
    nowMs = performance.now()
    const fault = reader.read(bytes)
    if (fault !== undefined) return destroy(new Error(fault))
    if (isPaused()) socket.pause()
  }
  /** After all that came before. */
  const ended = () => {
    hasEnded = true
    if (!isPaused() && !reader.finish()) destroy(new Error('the peer closed the connection'))
  }

  const connection: Connection = {
    exchange: () => exchange,
    start: (started, startedMs) => {
      const { head, request } = started
      const { body } = request
      exchange = started
      started.state = 'open'
      started.progressMs = startedMs
      reader.expect(request.method)
      if (body === null) socket.write(head.text, 'latin1')
      else if (!Buffer.isBuffer(body)) {
        socket.write(head.text, 'latin1')
        upload = startUpload(socket, body, head.bodyBytes, (cause) => {
          failExchange(started, { kind: 'aborted', cause, unsent: false })
          destroy(cause)
        })
      } else if (body.length <= maxBytesWithHead)
        socket.write(head.text + body.toString('latin1'), 'latin1')
      else {
        socket.cork()
        socket.write(head.text, 'latin1')
        socket.write(body)
        socket.uncork()
      }
    },
    isOpen: () => !isClosed,
    keptUntilMs: () => keptUntilMs,
    resume: () => {
      if (exchange === undefined) return
      exchange.progressMs = performance.now()
      take(nothing)
      if (isClosed || isPaused()) return
      // Also where that was the end of the answer: the next one is to be read.
      if (hasEnded) ended()
      else socket.resume()
    },
    checkDeadline: (atMs) => {
      if (exchange === undefined) return
      const { request, headReceived, paused } = exchange
      // Waiting for the caller is not the upstream's fault.
      if (paused || (!headReceived && upload?.isStarved() === true && !upload.isDone())) {
        exchange.progressMs = atMs
        return
      }
      const limitMs = headReceived ? request.idleTimeoutMs : request.headersTimeoutMs
      if (limitMs <= 0 || atMs - exchange.progressMs <= limitMs) return
      const what = headReceived ? 'nothing of the answer' : 'no answer'
      const cause = new Error(`${what} for ${limitMs} ms`)
      failExchange(exchange, { kind: 'timeout', cause, unsent: false })
      destroy(cause)
    },
    destroy,
  }

  socket.on('error', destroy)
  socket.on('end', ended)
  socket.on('close', () => destroy(new Error('the connection was closed')))
  socket.on('drain', () => {
    if (exchange) exchange.progressMs = performance.now()
    upload?.goOn()
  })
  socket.on('data', take) // never called for a socket that took `onread`
  if (!inlet.attach(take)) destroy(new Error('the peer spoke before it was asked'))
  return connection
}
