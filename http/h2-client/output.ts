import type { Connection } from './connection.ts'
import { latin1 } from './latin1.ts'

/** Bodies up to this size are copied into the text of the turn; larger ones are written as they are. */
const copiedBytes = 2_048

/** Has what was queued written at the end of this turn of the event loop, all in one write. */
export const scheduleFlush = (connection: Connection): void => {
  if (connection.flushScheduled || connection.state === 'closed') return
  connection.flushScheduled = true
  setImmediate(connection.flush)
}

/** Queues octets, given as latin1. */
export const send = (connection: Connection, octets: string): void => {
  connection.out += octets
  scheduleFlush(connection)
}

/** Queues octets of a body, which must not change until they are written. */
export const sendBytes = (connection: Connection, bytes: Buffer): void => {
  if (bytes.length <= copiedBytes) connection.out += latin1(bytes, 0, bytes.length)
  else {
    connection.parts.push(connection.out, bytes)
    connection.partsBytes += connection.out.length + bytes.length
    connection.out = ''
  }
  scheduleFlush(connection)
}

export const pendingBytes = (connection: Connection): number =>
  connection.partsBytes + connection.out.length
