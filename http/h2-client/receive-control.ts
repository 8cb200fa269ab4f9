import { breakOff, closeIfDrained, giveBack } from './closing.ts'
import type { Connection } from './connection.ts'
import { mayGrow } from './flow-control.ts'
import { pingFrame, settingsAck } from './frame-writer.ts'
import { send } from './output.ts'
import {
  defaultMaxFrameBytes,
  errorCode,
  errorCodeName,
  flag,
  largestMaxFrameBytes,
  largestWindowBytes,
  setting,
} from './protocol.ts'
import { releaseSlot } from './ring.ts'
import { enqueue, stopUpload } from './upload.ts'
import { latin1 } from './latin1.ts'

/** In one frame; a change of the initial window looks at every stream. */
const maxSettings = 32

/** RFC 9113 §6.5. */
export const receiveSettings = (
  connection: Connection,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): void => {
  if (streamId !== 0) {
    breakOff(connection, errorCode.protocolError, 'SETTINGS on a stream')
    return
  }
  if ((flags & flag.ack) !== 0) {
    if (end > start) breakOff(connection, errorCode.frameSizeError, 'SETTINGS ACK with a payload')
    else if (!connection.settingsReceived)
      breakOff(connection, errorCode.protocolError, 'the first frame is not SETTINGS')
    else connection.settingsAcknowledged = true
    return
  }
  if ((end - start) % 6 !== 0) {
    breakOff(connection, errorCode.frameSizeError, 'SETTINGS of a wrong size')
    return
  }
  if (end - start > maxSettings * 6) {
    breakOff(connection, errorCode.enhanceYourCalm, 'too many settings at once')
    return
  }
  for (let at = start; at < end; at += 6)
    if (!applySetting(connection, bytes.readUInt16BE(at), bytes.readUInt32BE(at + 2))) return
  const isFirst = !connection.settingsReceived
  connection.settingsReceived = true
  send(connection, settingsAck)
  if (isFirst || connection.state === 'open') connection.events.room(connection)
}

const applySetting = (connection: Connection, id: number, value: number): boolean => {
  switch (id) {
    case setting.headerTableSize:
      // Our table stays empty. Said again, since some decoders wait for it after each change (RFC 7541 §4.2).
      connection.tableUpdateDue = true
      return true
    case setting.enablePush:
      if (value === 0) return true
      breakOff(connection, errorCode.protocolError, 'a server must not set ENABLE_PUSH')
      return false
    case setting.maxConcurrentStreams:
      connection.peerMaxConcurrent = value
      return true
    case setting.initialWindowSize:
      return applyInitialWindow(connection, value)
    case setting.maxFrameSize:
      // We never send more than the least that it may be.
      if (value >= defaultMaxFrameBytes && value <= largestMaxFrameBytes) return true
      breakOff(connection, errorCode.protocolError, 'MAX_FRAME_SIZE out of range')
      return false
    default:
      return true // unknown, or advice (MAX_HEADER_LIST_SIZE): a head that is too large gets its 431 from the peer
  }
}

/** Changes the window of every stream, possibly to below zero (RFC 9113 §6.9.2). */
const applyInitialWindow = (connection: Connection, value: number): boolean => {
  if (value > largestWindowBytes) {
    breakOff(connection, errorCode.flowControlError, 'INITIAL_WINDOW_SIZE out of range')
    return false
  }
  const change = value - connection.peerInitialWindow
  connection.peerInitialWindow = value
  for (const exchange of connection.ring) {
    if (exchange === undefined) continue
    if (!mayGrow(exchange.sendWindow, change)) {
      breakOff(
        connection,
        errorCode.flowControlError,
        'INITIAL_WINDOW_SIZE makes a window too large',
      )
      return false
    }
    exchange.sendWindow += change
    if (exchange.sendWindow > 0) enqueue(connection, exchange)
  }
  return true
}

/** RFC 9113 §6.7. */
export const receivePing = (
  connection: Connection,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): void => {
  if (streamId !== 0) breakOff(connection, errorCode.protocolError, 'PING on a stream')
  else if (end - start !== 8) breakOff(connection, errorCode.frameSizeError, 'PING of a wrong size')
  else if ((flags & flag.ack) !== 0) connection.pingSentMs = 0
  else send(connection, pingFrame(latin1(bytes, start, end), flag.ack))
}

/** RFC 9113 §6.8. */
export const receiveGoaway = (
  connection: Connection,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
): void => {
  if (streamId !== 0) {
    breakOff(connection, errorCode.protocolError, 'GOAWAY on a stream')
    return
  }
  if (end - start < 8) {
    breakOff(connection, errorCode.frameSizeError, 'GOAWAY of a wrong size')
    return
  }
  const lastStreamId = bytes.readUInt32BE(start) & 0x7fff_ffff
  const code = bytes.readUInt32BE(start + 4)
  if (lastStreamId > connection.goawayStreamId) {
    breakOff(connection, errorCode.protocolError, 'GOAWAY takes back what an earlier one said')
    return
  }
  connection.goawayStreamId = lastStreamId
  if (connection.state === 'open') connection.state = 'draining'
  const cause = new Error(`the peer closes the connection: GOAWAY ${errorCodeName(code)}`)
  const refused = connection.ring.filter(
    (exchange) => exchange !== undefined && exchange.streamId > lastStreamId,
  )
  for (const exchange of refused) {
    if (exchange === undefined) continue
    stopUpload(exchange)
    releaseSlot(connection, exchange)
    giveBack(exchange, connection, cause)
  }
  closeIfDrained(connection)
}
