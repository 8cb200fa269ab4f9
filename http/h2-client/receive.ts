import { breakOff } from './closing.ts'
import type { Connection } from './connection.ts'
import type { OnFrame } from './frame-reader.ts'
import { pendingBytes } from './output.ts'
import { errorCode, frameType } from './protocol.ts'
import { receiveContinuation, receiveHeaders } from './receive-block.ts'
import { receiveGoaway, receivePing, receiveSettings } from './receive-control.ts'
import { receiveData } from './receive-data.ts'
import { receiveReset } from './receive-reset.ts'
import { receiveWindowUpdate } from './receive-window.ts'

/** What we may have to say to a peer that does not listen. */
const maxUnreadBytes = 4_194_304

/** Spends one of the frames that move nothing. A peer that sends too many is cut off (RFC 9113 §10.5). */
const spendOverhead = (connection: Connection): boolean => {
  // One that makes us answer but reads nothing is as bad, however slowly it does so.
  const isStuffed = connection.blocked && pendingBytes(connection) > maxUnreadBytes
  if (!isStuffed && connection.overhead.take(connection.nowMs)) return true
  breakOff(
    connection,
    errorCode.enhanceYourCalm,
    'the peer sends too many frames that move nothing',
  )
  return false
}

/** What a connection does with each frame (RFC 9113 §6). */
export const onFrameOf =
  (connection: Connection): OnFrame =>
  (type, flags, streamId, bytes, start, end) => {
    if (!connection.settingsReceived && type !== frameType.settings) {
      breakOff(connection, errorCode.protocolError, 'the first frame is not SETTINGS')
      return
    }
    if (connection.partialBlock !== undefined && type !== frameType.continuation) {
      breakOff(
        connection,
        errorCode.protocolError,
        'a frame stands between HEADERS and CONTINUATION',
      )
      return
    }
    switch (type) {
      case frameType.data:
        if (receiveData(connection, flags, streamId, bytes, start, end) === 'moves-nothing')
          spendOverhead(connection)
        return
      case frameType.headers:
        if (receiveHeaders(connection, flags, streamId, bytes, start, end) === 'moves-nothing')
          spendOverhead(connection)
        return
      case frameType.continuation:
        receiveContinuation(connection, flags, streamId, bytes, start, end)
        return
      case frameType.rstStream:
        if (receiveReset(connection, streamId, bytes, start, end) === 'moves-nothing')
          spendOverhead(connection)
        return
      case frameType.settings:
        if (spendOverhead(connection))
          receiveSettings(connection, flags, streamId, bytes, start, end)
        return
      case frameType.pushPromise:
        breakOff(connection, errorCode.protocolError, 'the peer pushes, which we forbade')
        return
      case frameType.ping:
        if (spendOverhead(connection)) receivePing(connection, flags, streamId, bytes, start, end)
        return
      case frameType.goaway:
        if (spendOverhead(connection)) receiveGoaway(connection, streamId, bytes, start, end)
        return
      case frameType.windowUpdate:
        if (spendOverhead(connection)) receiveWindowUpdate(connection, streamId, bytes, start, end)
        return
      case frameType.priority:
        if (streamId === 0) breakOff(connection, errorCode.protocolError, 'PRIORITY on stream 0')
        else if (end - start !== 5)
          breakOff(connection, errorCode.frameSizeError, 'PRIORITY of a wrong size')
        else spendOverhead(connection) // deprecated, so nothing is done with it (§5.3.2)
        return
      default:
        spendOverhead(connection) // of an extension that we do not know (§5.5)
    }
  }
