import type { Connection } from './connection.ts'
import { type Exchange, failExchange, isUntouched } from './exchange.ts'
import { goawayFrame } from './frame-writer.ts'
import { errorCode, type ErrorCode } from './protocol.ts'
import { releaseSlot } from './ring.ts'
import { stopUpload } from './upload.ts'

/** How long the peer may take to close its side. */
const lingerMs = 1_000

/** Takes no more requests; closes when those in flight have ended. */
export const drain = (connection: Connection): void => {
  if (connection.state === 'open') connection.state = 'draining'
  closeIfDrained(connection)
}

export const closeIfDrained = (connection: Connection): void => {
  if (connection.state === 'draining' && connection.inFlight === 0)
    close(connection, errorCode.noError, undefined)
}

/** Ends a connection whose peer broke the protocol, and with it every request in flight (RFC 9113 §5.4.1). */
export const breakOff = (connection: Connection, code: ErrorCode, reason: string): void =>
  close(connection, code, new Error(reason))

/** The socket is gone, or is to go without a word. */
export const lose = (connection: Connection, cause: Error): void => {
  close(connection, undefined, cause)
  connection.socket.destroy()
}

const close = (
  connection: Connection,
  code: ErrorCode | undefined,
  cause: Error | undefined,
): void => {
  if (connection.state === 'closed') return
  connection.state = 'closed'
  sayGoodbye(connection, code)
  connection.sending.length = 0
  connection.parts.length = 0
  connection.out = ''
  connection.partialBlock = undefined
  connection.deferredResets.length = 0
  const inFlight = connection.ring.filter((exchange) => exchange !== undefined)
  for (const exchange of inFlight) {
    stopUpload(exchange)
    releaseSlot(connection, exchange)
  }
  connection.events.gone(connection, cause)
  const reason = cause ?? new Error('the connection was closed')
  for (const exchange of inFlight) {
    const unsent = exchange.streamId > connection.flushedStreamId
    if (unsent) giveBack(exchange, connection, reason)
    else failExchange(exchange, { kind: 'broken', cause: reason, unsent: false })
  }
}

/**
 * Gives a request back that the peer did not process, to be sent again; if its body was read, that can only fail.
 * It must have been taken off the connection.
 */
export const giveBack = (exchange: Exchange, connection: Connection, cause: Error): void => {
  if (exchange.state !== 'open') return
  // A peer that began to answer, whatever it says now, has processed the request.
  if (!isUntouched(exchange) || exchange.headReceived || exchange.informational > 0) {
    failExchange(exchange, { kind: 'broken', cause, unsent: false })
    return
  }
  exchange.state = 'queued'
  exchange.upload = undefined
  exchange.connection = undefined
  exchange.streamId = 0
  connection.events.resend(exchange, cause)
}

const sayGoodbye = (connection: Connection, code: ErrorCode | undefined): void => {
  const { socket } = connection
  if (code === undefined || !socket.writable) return
  // What was queued for this turn goes first, unless it is in pieces: then it is body that nobody will read.
  const queued = connection.parts.length === 0 ? connection.out : ''
  socket.end(queued + goawayFrame(code), 'latin1')
  setTimeout(() => socket.destroy(), lingerMs).unref()
}
