import type { OnReadOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AnswerDecoder } from './answer-decoder.ts'
import { breakOff, lose } from './closing.ts'
import { type Connection, type ConnectionEvents, newConnection } from './connection.ts'
import { flush } from './flush.ts'
import { frameReader } from './frame-reader.ts'
import type { H2Limits } from './options.ts'
import { scheduleFlush } from './output.ts'
import { defaultMaxFrameBytes, errorCode } from './protocol.ts'
import { onFrameOf } from './receive.ts'

const readBufferBytes = 65_536
/** What a peer may send before its identity is verified and the socket handed over. */
const maxEarlyBytes = 65_536

/** Where a socket's octets go. It is made before the socket, since `onread` has to be given to `connect`. */
export type Inlet = {
  readonly onread: OnReadOpts
  /** Hands over what came early, and from then on what comes. False if too much came early. */
  readonly attach: (take: (bytes: Buffer) => void) => boolean
}

export const newInlet = (buffer: Buffer = Buffer.allocUnsafeSlow(readBufferBytes)): Inlet => {
  const early: Buffer[] = []
  let earlyBytes = 0
  let take = (bytes: Buffer): void => {
    earlyBytes += bytes.length
    if (earlyBytes <= maxEarlyBytes) early.push(Buffer.from(bytes))
  }
  return {
    onread: {
      buffer,
      callback: (count, filled) => {
        take((filled as Buffer).subarray(0, count))
        return true
      },
    },
    attach: (taker) => {
      if (earlyBytes > maxEarlyBytes) return false
      take = taker
      for (const bytes of early) taker(bytes)
      early.length = 0
      return true
    },
  }
}

/**
 * Begins HTTP/2 on a socket whose peer is verified: our preface goes out with the first requests, without waiting for the
 * peer's (RFC 9113 §3.4).
 */
export const openConnection = (
  socket: Duplex,
  inlet: Inlet,
  limits: H2Limits,
  decoder: AnswerDecoder,
  events: ConnectionEvents,
): Connection => {
  const connection = newConnection(socket, limits, decoder, events, performance.now())
  connection.flush = () => flush(connection)
  const reader = frameReader(
    defaultMaxFrameBytes,
    onFrameOf(connection),
    () => connection.state !== 'closed',
  )
  const take = (bytes: Buffer) => {
    if (connection.state === 'closed') return
    connection.nowMs = performance.now()
    connection.receivedMs = connection.nowMs
    if (!reader.read(bytes))
      breakOff(connection, errorCode.frameSizeError, 'a frame larger than we allow')
  }
  socket.on('error', (cause: Error) => lose(connection, cause))
  socket.on('end', () => lose(connection, new Error('the peer closed the connection')))
  socket.on('close', () => lose(connection, new Error('the connection was closed')))
  socket.on('drain', () => {
    connection.blocked = false
    scheduleFlush(connection)
  })
  // Never called for a socket that took `onread`.
  socket.on('data', take)
  scheduleFlush(connection)
  if (!inlet.attach(take))
    breakOff(connection, errorCode.enhanceYourCalm, 'the peer spoke too much too early')
  return connection
}
