import type { Connection } from './connection.ts'
import { scheduleFlush } from './output.ts'
import { pumpUploads } from './upload.ts'

/** Writes all that was queued in this turn of the event loop in one write, so in one TLS record and one system call. */
export const flush = (connection: Connection): void => {
  connection.flushScheduled = false
  if (connection.state === 'closed' || connection.blocked) return
  if (connection.sending.length > 0) pumpUploads(connection)
  const { socket, parts, out } = connection
  connection.flushedStreamId = connection.nextStreamId - 2
  connection.out = ''
  if (parts.length === 0) {
    if (out !== '') connection.blocked = !socket.write(out, 'latin1')
  } else {
    socket.cork()
    for (const part of parts)
      if (typeof part === 'string') socket.write(part, 'latin1')
      else socket.write(part)
    if (out !== '') socket.write(out, 'latin1')
    socket.uncork()
    parts.length = 0
    connection.partsBytes = 0
    connection.blocked = socket.writableNeedDrain
  }
  if (!connection.blocked && connection.sending.length > 0 && connection.sendWindow > 0)
    scheduleFlush(connection)
}
