import type { Connection } from './connection.ts'
import type { Exchange } from './exchange.ts'
import { windowUpdateFrame } from './frame-writer.ts'
import { send } from './output.ts'
import { largestWindowBytes } from './protocol.ts'

/** How much of the connection's window is used before the peer is told that it was read. */
const connectionCreditBytes = 1_048_576

/** Gives octets back that were read, or thrown away (RFC 9113 §6.9). */
export const creditConnection = (connection: Connection, bytes: number): void => {
  if (connection.state === 'closed') return
  connection.uncredited += bytes
  // What is left and what is due make the whole window: tell at half of it, or at a good piece.
  const due = Math.min(
    connectionCreditBytes,
    (connection.receiveWindow + connection.uncredited) / 2,
  )
  if (connection.uncredited < due) return
  send(connection, windowUpdateFrame(0, connection.uncredited))
  connection.receiveWindow += connection.uncredited
  connection.uncredited = 0
}

/** Gives octets of an answer back that its handler took. */
export const creditExchange = (exchange: Exchange, bytes: number): void => {
  const { connection } = exchange
  if (connection === undefined) return
  creditConnection(connection, bytes)
  if (exchange.state !== 'open' || connection.state === 'closed') return
  exchange.uncredited += bytes
  if (exchange.uncredited < connection.limits.streamWindowBytes / 2) return
  send(connection, windowUpdateFrame(exchange.streamId, exchange.uncredited))
  exchange.receiveWindow += exchange.uncredited
  exchange.uncredited = 0
}

/** Whether a window may grow by so much (RFC 9113 §6.9.1). */
export const mayGrow = (window: number, increment: number): boolean =>
  window + increment <= largestWindowBytes
