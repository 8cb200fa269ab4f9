import { receiveAnswerBlock } from './answer.ts'
import { breakOff } from './closing.ts'
import type { Connection } from './connection.ts'
import { maxBlockBytes, maxContinuations } from './options.ts'
import { errorCode, flag } from './protocol.ts'
import { endedByPeer, neverOpened } from './stream-id.ts'
import { exchangeOf } from './streams.ts'

/** RFC 9113 §6.2. */
export const receiveHeaders = (
  connection: Connection,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): 'moves-nothing' | undefined => {
  if (neverOpened(connection, streamId)) {
    breakOff(connection, errorCode.protocolError, 'HEADERS on a stream that we never opened')
    return
  }
  let from = start
  let to = end
  if ((flags & flag.padded) !== 0) {
    if (from >= to) {
      breakOff(connection, errorCode.frameSizeError, 'HEADERS too short for its padding')
      return
    }
    to -= bytes[from] as number
    from++
  }
  if ((flags & flag.priority) !== 0) from += 5 // deprecated, so nothing is done with it (§5.3.2)
  if (from > to) {
    breakOff(connection, errorCode.protocolError, 'HEADERS too short for its padding or priority')
    return
  }
  const endStream = (flags & flag.endStream) !== 0
  if ((flags & flag.endHeaders) !== 0)
    return takeBlock(connection, streamId, endStream, bytes, from, to)
  connection.partialBlock = {
    streamId,
    endStream,
    parts: [Buffer.from(bytes.subarray(from, to))],
    bytes: to - from,
  }
}

/** RFC 9113 §6.10. A block in pieces is bounded by its size and by the number of its pieces (CVE-2024-27983). */
export const receiveContinuation = (
  connection: Connection,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): void => {
  const partial = connection.partialBlock
  if (partial === undefined || partial.streamId !== streamId) {
    breakOff(connection, errorCode.protocolError, 'CONTINUATION of nothing')
    return
  }
  partial.bytes += end - start
  if (partial.bytes > maxBlockBytes || partial.parts.length > maxContinuations) {
    breakOff(connection, errorCode.enhanceYourCalm, 'a field block that does not end')
    return
  }
  partial.parts.push(Buffer.from(bytes.subarray(start, end)))
  if ((flags & flag.endHeaders) === 0) return
  connection.partialBlock = undefined
  const block = Buffer.concat(partial.parts)
  takeBlock(connection, streamId, partial.endStream, block, 0, block.length)
}

const takeBlock = (
  connection: Connection,
  streamId: number,
  endStream: boolean,
  bytes: Buffer,
  start: number,
  end: number,
): 'moves-nothing' | undefined => {
  const exchange = exchangeOf(connection, streamId)
  if (exchange === undefined) {
    // Not decoded: without a dynamic table, skipping a block changes nothing for the next.
    if (!endedByPeer(connection, streamId)) return 'moves-nothing'
    breakOff(connection, errorCode.streamClosed, 'HEADERS after the end of the stream')
    return
  }
  const block = connection.decoder(bytes, start, end)
  if (block === 'compression')
    breakOff(connection, errorCode.compressionError, 'a field block that is not HPACK')
  else receiveAnswerBlock(exchange, block, endStream)
}
