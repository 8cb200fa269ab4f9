import { finishAnswer, malformed } from './answer.ts'
import { breakOff } from './closing.ts'
import type { Connection } from './connection.ts'
import { type Exchange, noTrailers } from './exchange.ts'
import { creditConnection, creditExchange } from './flow-control.ts'
import { heldData } from './held-data.ts'
import { errorCode, flag } from './protocol.ts'
import { endedByPeer, neverOpened } from './stream-id.ts'
import { exchangeOf, releaseStream } from './streams.ts'

/** RFC 9113 §6.1. */
export const receiveData = (
  connection: Connection,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): 'moves-nothing' | undefined => {
  const size = end - start
  connection.receiveWindow -= size
  if (connection.receiveWindow < 0) {
    breakOff(connection, errorCode.flowControlError, 'more data than the connection allows')
    return
  }
  const exchange = exchangeOf(connection, streamId)
  if (exchange === undefined) return strayData(connection, streamId, size)
  const last = (flags & flag.endStream) !== 0
  let from = start
  let to = end
  if ((flags & flag.padded) !== 0) {
    if (from < to) to -= bytes[from] as number
    if (++from > to) {
      breakOff(connection, errorCode.protocolError, 'DATA too short for its padding')
      return
    }
  }
  exchange.receiveWindow -= size
  if (exchange.abandoned) {
    creditConnection(connection, size)
    if (last) releaseStream(connection, exchange)
    return
  }
  if (exchange.receiveWindow < 0) {
    creditConnection(connection, size)
    malformed(exchange, 'more data than the stream allows', errorCode.flowControlError)
    return
  }
  const fault = faultOf(exchange, to - from, last)
  if (fault !== undefined) {
    creditConnection(connection, size)
    malformed(exchange, fault)
    return
  }
  exchange.progressMs = connection.nowMs
  if (size > to - from) creditExchange(exchange, size - (to - from)) // padding is read as it comes
  if (to > from) deliver(exchange, bytes, from, to, last)
  else if (!last) return 'moves-nothing'
  if (last) finishAnswer(exchange, noTrailers)
}

/** Data of a stream that is not open. */
const strayData = (
  connection: Connection,
  streamId: number,
  size: number,
): 'moves-nothing' | undefined => {
  if (neverOpened(connection, streamId))
    breakOff(connection, errorCode.protocolError, 'DATA on a stream that we never opened')
  else if (endedByPeer(connection, streamId))
    breakOff(connection, errorCode.streamClosed, 'DATA after the end of the stream')
  else {
    creditConnection(connection, size)
    if (size === 0 || size > connection.strayBytes) return 'moves-nothing'
    connection.strayBytes -= size
  }
}

/** Counts data against Content-Length (RFC 9113 §8.1.1). */
const faultOf = (exchange: Exchange, size: number, last: boolean): string | undefined => {
  if (!exchange.headReceived) return 'data before a head'
  if (exchange.expectedBytes < 0) return undefined
  if (size > exchange.expectedBytes) return 'more body than there may be'
  exchange.expectedBytes -= size
  return last && exchange.expectedBytes > 0 ? 'less body than content-length promises' : undefined
}

const deliver = (
  exchange: Exchange,
  bytes: Buffer,
  from: number,
  to: number,
  last: boolean,
): void => {
  if (exchange.paused) {
    exchange.held ??= heldData()
    exchange.held.add(bytes, from, to)
    return
  }
  // A copy: `bytes` is overwritten by the next read, the handler may keep what it gets.
  const chunk = Buffer.allocUnsafe(to - from)
  bytes.copy(chunk, 0, from, to)
  if (last) creditConnection(exchange.connection as Connection, to - from)
  else creditExchange(exchange, to - from)
  exchange.handler.onData(chunk, last)
}
