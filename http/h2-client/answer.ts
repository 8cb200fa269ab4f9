import type { AnswerBlock } from './answer-head.ts'
import type { BlockFault } from './hpack-decode.ts'
import { type Exchange, endExchange, noTrailers } from './exchange.ts'
import { maxInformational } from './options.ts'
import { errorCode, type ErrorCode } from './protocol.ts'
import { endStream, releaseStream, resetStream } from './streams.ts'
import { isUploading } from './upload.ts'

/** Ends one stream whose answer is not a message; the connection goes on (RFC 9113 §8.1.1, §5.4.2). */
export const malformed = (
  exchange: Exchange,
  reason: string,
  code: ErrorCode = errorCode.protocolError,
): void => endStream(exchange, code, { kind: 'broken', cause: new Error(reason), unsent: false })

/** A head, a head of a 1xx answer, or trailers (RFC 9113 §8.1). */
export const receiveAnswerBlock = (
  exchange: Exchange,
  block: AnswerBlock | Exclude<BlockFault, 'compression'>,
  last: boolean,
): void => {
  const { connection } = exchange
  if (connection === undefined) return
  if (exchange.abandoned) {
    if (last) releaseStream(connection, exchange)
    return
  }
  if (block === 'malformed') {
    malformed(exchange, 'a field that no answer may have')
    return
  }
  if (block === 'too-large') {
    malformed(exchange, 'fields beyond our limits', errorCode.enhanceYourCalm)
    return
  }
  if (block.status === 0) receiveTrailers(exchange, block, last)
  else if (exchange.headReceived) malformed(exchange, 'a second head')
  else if (block.status < 200) receiveInformational(exchange, block, last)
  else receiveHead(exchange, block, last)
}

const receiveInformational = (exchange: Exchange, block: AnswerBlock, last: boolean): void => {
  if (last) malformed(exchange, 'an answer that ends with a 1xx')
  else if (++exchange.informational > maxInformational) malformed(exchange, 'too many 1xx answers')
  else exchange.handler.onInformation?.(block.status, block.headers)
}

const receiveHead = (exchange: Exchange, block: AnswerBlock, last: boolean): void => {
  const { connection, handler, request } = exchange
  if (connection === undefined) return
  const bodyless = request.method === 'HEAD' || block.status === 204 || block.status === 304
  if (last && !bodyless && block.contentLength > 0) {
    malformed(exchange, 'no body, where content-length promises one')
    return
  }
  exchange.headReceived = true
  exchange.expectedBytes = bodyless ? 0 : block.contentLength
  exchange.progressMs = connection.nowMs
  connection.overhead.give(2)
  if (!connection.proved) {
    connection.proved = true
    connection.events.proved()
  }
  handler.onHead(block.status, block.headers)
  if (last) finishAnswer(exchange, noTrailers)
}

const receiveTrailers = (exchange: Exchange, block: AnswerBlock, last: boolean): void => {
  if (!exchange.headReceived) malformed(exchange, 'an answer without :status')
  else if (!last) malformed(exchange, 'trailers that do not end the stream')
  else if (exchange.expectedBytes > 0) malformed(exchange, 'less body than content-length promises')
  else finishAnswer(exchange, block.headers)
}

/** The answer is whole: the stream ends, and the handler is told as soon as it takes what is held. */
export const finishAnswer = (exchange: Exchange, trailers: readonly string[]): void => {
  const { connection } = exchange
  if (exchange.state !== 'open' || connection === undefined) return
  exchange.state = 'received'
  exchange.trailers = trailers
  // An answer that comes before the request's end means that the rest is not wanted (RFC 9113 §8.1).
  if (isUploading(exchange)) resetStream(exchange, errorCode.noError)
  else releaseStream(connection, exchange)
  if (!exchange.paused) endExchange(exchange, trailers)
}
