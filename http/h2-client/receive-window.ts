import { breakOff } from './closing.ts'
import type { Connection } from './connection.ts'
import { mayGrow } from './flow-control.ts'
import { scheduleFlush } from './output.ts'
import { errorCode } from './protocol.ts'
import { neverOpened } from './stream-id.ts'
import { endStream, exchangeOf } from './streams.ts'
import { enqueue } from './upload.ts'

/** RFC 9113 §6.9. */
export const receiveWindowUpdate = (
  connection: Connection,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): void => {
  if (end - start !== 4) {
    breakOff(connection, errorCode.frameSizeError, 'WINDOW_UPDATE of a wrong size')
    return
  }
  const increment = bytes.readUInt32BE(start) & 0x7fff_ffff
  if (streamId === 0) {
    if (increment === 0) breakOff(connection, errorCode.protocolError, 'WINDOW_UPDATE of 0')
    else if (!mayGrow(connection.sendWindow, increment))
      breakOff(connection, errorCode.flowControlError, 'the window of the connection overflows')
    else {
      connection.sendWindow += increment
      if (connection.sending.length > 0) scheduleFlush(connection)
    }
    return
  }
  if (neverOpened(connection, streamId)) {
    breakOff(connection, errorCode.protocolError, 'WINDOW_UPDATE on a stream that we never opened')
    return
  }
  const exchange = exchangeOf(connection, streamId)
  if (exchange === undefined) return
  if (increment === 0)
    endStream(exchange, errorCode.protocolError, {
      kind: 'broken',
      cause: new Error('WINDOW_UPDATE of 0'),
      unsent: false,
    })
  else if (!mayGrow(exchange.sendWindow, increment))
    endStream(exchange, errorCode.flowControlError, {
      kind: 'broken',
      cause: new Error('the window of the stream overflows'),
      unsent: false,
    })
  else {
    exchange.sendWindow += increment
    if (exchange.sendWindow > 0) enqueue(connection, exchange)
  }
}
