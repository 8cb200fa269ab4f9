import type { UpstreamFault } from '../upstream-client.ts'
import { closeIfDrained } from './closing.ts'
import { type Connection, connectionWindow } from './connection.ts'
import { type Exchange, failExchange } from './exchange.ts'
import { headersFrames, rstStreamFrame } from './frame-writer.ts'
import { emptyTable } from './hpack-encode.ts'
import { pendingBytes, send } from './output.ts'
import { errorCode, type ErrorCode, largestStreamId } from './protocol.ts'
import { releaseSlot } from './ring.ts'
import { startUpload, stopUpload } from './upload.ts'

/** Heads that may wait for a socket which takes nothing; beyond it, requests wait elsewhere. */
const maxPendingBytes = 1_048_576

export const hasRoom = (connection: Connection): boolean =>
  connection.state === 'open' &&
  connection.inFlight < connection.limits.maxInFlight &&
  connection.inFlight < connection.peerMaxConcurrent &&
  pendingBytes(connection) < maxPendingBytes

/** Puts a request on the connection, which must have room. */
export const startStream = (connection: Connection, exchange: Exchange, nowMs: number): void => {
  const { ring, ringMask } = connection
  while (ring[(connection.nextStreamId >>> 1) & ringMask] !== undefined)
    connection.nextStreamId += 2
  const id = connection.nextStreamId
  connection.nextStreamId += 2
  const slot = (id >>> 1) & ringMask
  ring[slot] = exchange
  connection.lastIds[slot] = id
  connection.inFlight++
  exchange.state = 'open'
  exchange.connection = connection
  exchange.streamId = id
  exchange.attempts++
  // Of a connection on which nothing went on for a while, the last reading is old: what is sent now would look overdue at once.
  connection.nowMs = nowMs
  exchange.progressMs = nowMs
  exchange.receiveWindow = connection.limits.streamWindowBytes
  exchange.sendWindow = connection.peerInitialWindow

  const { body } = exchange.request
  const bodyless = body === null || (Buffer.isBuffer(body) && body.length === 0)
  let { block } = exchange.head
  if (connection.tableUpdateDue) {
    connection.tableUpdateDue = false
    block = emptyTable + block
  }
  send(connection, headersFrames(id, block, bodyless))
  if (!bodyless)
    startUpload(connection, exchange, body, (cause) =>
      endStream(exchange, errorCode.cancel, { kind: 'aborted', cause, unsent: false }),
    )
  const lastId = largestStreamId - 2 * ring.length
  if (--connection.requestsLeft <= 0 || connection.nextStreamId > lastId)
    connection.state = 'draining'
}

/** The exchange of a stream that is open, abandoned ones included. */
export const exchangeOf = (connection: Connection, streamId: number): Exchange | undefined => {
  const exchange = connection.ring[(streamId >>> 1) & connection.ringMask]
  return exchange !== undefined && exchange.streamId === streamId ? exchange : undefined
}

/** Takes an exchange off the connection whose stream is closed at both ends. */
export const releaseStream = (connection: Connection, exchange: Exchange): void => {
  stopUpload(exchange)
  releaseSlot(connection, exchange)
  if (connection.state !== 'closed') {
    connection.events.room(connection)
    closeIfDrained(connection)
  }
}

/** Ends a stream before its time, and tells the handler. Does nothing for one that is not open. */
export const endStream = (exchange: Exchange, code: ErrorCode, fault: UpstreamFault): void => {
  if (exchange.state !== 'open') return
  resetStream(exchange, code)
  failExchange(exchange, fault)
}

/**
 * Resets a stream, or leaves it to itself until the budget allows it: peers take many resets for an attack and end the
 * connection, which would make a few impatient callers everyone's fault.
 */
export const resetStream = (exchange: Exchange, code: ErrorCode): void => {
  const { connection } = exchange
  if (connection === undefined || connection.state === 'closed') return
  stopUpload(exchange)
  if (connection.resets.take(connection.nowMs)) sendReset(connection, exchange, code)
  else {
    exchange.abandoned = true
    connection.deferredResets.push(exchange)
    if (connection.deferredResets.length > connection.ring.length) forgetEnded(connection)
  }
}

const sendReset = (connection: Connection, exchange: Exchange, code: ErrorCode): void => {
  send(connection, rstStreamFrame(exchange.streamId, code))
  // What the peer sent before it hears of this is not its fault.
  connection.strayBytes = Math.min(
    connection.strayBytes + Math.max(0, exchange.receiveWindow),
    connectionWindow(connection.limits),
  )
  connection.resetIds[(exchange.streamId >>> 1) & connection.ringMask] = exchange.streamId
  releaseStream(connection, exchange)
}

/** Most of what waits to be reset ends by itself; what is left is no more than there are slots. */
const forgetEnded = (connection: Connection): void => {
  const { deferredResets } = connection
  const open = deferredResets.filter((each) => exchangeOf(connection, each.streamId) === each)
  deferredResets.splice(0, deferredResets.length, ...open)
}

/** Resets what had to wait, as far as the budget goes. */
export const sendDeferredResets = (connection: Connection): void => {
  const { deferredResets } = connection
  while (deferredResets.length > 0) {
    const exchange = deferredResets[0] as Exchange
    const isOpen = exchangeOf(connection, exchange.streamId) === exchange
    if (isOpen && !connection.resets.take(connection.nowMs)) return
    deferredResets.shift()
    if (isOpen) sendReset(connection, exchange, errorCode.cancel)
  }
}
