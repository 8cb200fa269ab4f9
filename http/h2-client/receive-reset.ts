import { breakOff, giveBack } from './closing.ts'
import type { Connection } from './connection.ts'
import { failExchange } from './exchange.ts'
import { errorCode, errorCodeName } from './protocol.ts'
import { neverOpened } from './stream-id.ts'
import { exchangeOf, releaseStream } from './streams.ts'

/**
 * RFC 9113 §6.4. REFUSED_STREAM promises that nothing was processed (§8.7); no other code does.
 */
export const receiveReset = (
  connection: Connection,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): 'moves-nothing' | undefined => {
  if (end - start !== 4) {
    breakOff(connection, errorCode.frameSizeError, 'RST_STREAM of a wrong size')
    return
  }
  if (neverOpened(connection, streamId)) {
    breakOff(connection, errorCode.protocolError, 'RST_STREAM on a stream that we never opened')
    return
  }
  const exchange = exchangeOf(connection, streamId)
  if (exchange === undefined) return 'moves-nothing'
  const code = bytes.readUInt32BE(start)
  const cause = new Error(`the peer reset the stream: ${errorCodeName(code)}`)
  releaseStream(connection, exchange)
  if (code === errorCode.refusedStream) giveBack(exchange, connection, cause)
  else if (exchange.state === 'open')
    failExchange(exchange, { kind: 'broken', cause, unsent: false })
}
