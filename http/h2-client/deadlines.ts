import { breakOff, lose } from './closing.ts'
import type { Connection } from './connection.ts'
import type { Exchange } from './exchange.ts'
import { pingFrame } from './frame-writer.ts'
import { send } from './output.ts'
import { errorCode, flag } from './protocol.ts'
import { endStream, sendDeferredResets } from './streams.ts'
import { isUploading } from './upload.ts'

const pingPayload = 'sallypor' // eight octets; only one PING of ours is ever under way

/** Ends what has waited too long. One look at all, now and then, is cheaper than a timer for each request. */
export const checkDeadlines = (connection: Connection, nowMs: number): void => {
  connection.nowMs = nowMs
  checkPeer(connection, nowMs)
  if (connection.state === 'closed') return
  sendDeferredResets(connection)
  if (connection.inFlight === 0) return
  for (const exchange of connection.ring)
    if (exchange !== undefined && !exchange.abandoned) checkExchange(exchange, nowMs)
}

const checkPeer = (connection: Connection, nowMs: number): void => {
  const { limits } = connection
  const isSettled = connection.settingsReceived && connection.settingsAcknowledged
  if (!isSettled && nowMs - connection.openedMs > limits.settingsTimeoutMs)
    breakOff(connection, errorCode.settingsTimeout, 'the peer does not settle the settings')
  else if (connection.inFlight === 0) return
  else if (connection.pingSentMs > 0) {
    // It may be busy or gone; without an answer to a PING nothing else can be expected either.
    if (nowMs - Math.max(connection.pingSentMs, connection.receivedMs) > limits.pingAfterMs)
      lose(connection, new Error('the peer does not answer'))
  } else if (nowMs - connection.receivedMs > limits.pingAfterMs) {
    connection.pingSentMs = nowMs
    send(connection, pingFrame(pingPayload, flag.none))
  }
}

const checkExchange = (exchange: Exchange, nowMs: number): void => {
  const { request, upload, headReceived } = exchange
  // Waiting for the caller is not the upstream's fault.
  const waitsForCaller =
    exchange.paused || (!headReceived && isUploading(exchange) && upload?.starved === true)
  if (waitsForCaller) {
    exchange.progressMs = nowMs
    return
  }
  const limitMs = headReceived ? request.idleTimeoutMs : request.headersTimeoutMs
  if (limitMs <= 0 || nowMs - exchange.progressMs <= limitMs) return
  endStream(exchange, errorCode.cancel, {
    kind: 'timeout',
    cause: new Error(
      headReceived ? `nothing of the answer for ${limitMs} ms` : `no answer for ${limitMs} ms`,
    ),
    unsent: false,
  })
}
