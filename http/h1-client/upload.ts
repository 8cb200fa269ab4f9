import type { Readable, Writable } from 'node:stream'
import { ignoreFurtherErrors } from '../ignore-error.ts'

/** A request's body on its way out. */
export type Upload = {
  /** All of it was handed to the socket. */
  readonly isDone: () => boolean
  /** Waits for whoever makes it, not for the peer. */
  readonly isStarved: () => boolean
  /** The socket takes more again. */
  readonly goOn: () => void
  /** Reads no more of it. */
  readonly stop: () => void
}

/**
 * Writes a body behind its head as fast as the socket takes it. The source is never destroyed, only no longer read.
 *
 * @param bodyBytes What Content-Length says; -1 for chunks.
 * @param broken Told, once, that the source ended before its end, or is not as long as it should be.
 * @see RFC 9112 §7.1
 */
export const startUpload = (
  socket: Writable,
  source: Readable,
  bodyBytes: number,
  broken: (cause: Error) => void,
): Upload => {
  const isChunked = bodyBytes < 0
  let sentBytes = 0
  let state: 'sending' | 'done' | 'stopped' = 'sending'
  let isStarved = false

  const isSending = () => state === 'sending'
  const stop = (as: typeof state = 'stopped') => {
    if (!isSending()) return
    state = as
    source.off('readable', pump).off('end', finish).off('close', onBroken)
    ignoreFurtherErrors(source, onBroken)
  }
  const fail = (cause: Error) => {
    if (!isSending()) return
    stop()
    broken(cause)
  }
  const write = (bytes: Buffer) => {
    sentBytes += bytes.length
    if (!isChunked) return void socket.write(bytes)
    socket.cork()
    socket.write(`${bytes.length.toString(16)}\r\n`, 'latin1')
    socket.write(bytes)
    socket.write('\r\n', 'latin1')
    socket.uncork()
  }
  const pump = () => {
    isStarved = false
    while (isSending() && !socket.writableNeedDrain) {
      const chunk: unknown = source.read()
      if (chunk === null) {
        isStarved = !source.readableEnded
        return
      }
      const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as string | Uint8Array)
      if (bytes.length === 0) continue
      if (!isChunked && sentBytes + bytes.length > bodyBytes)
        return fail(new Error('the body of the request is longer than its content-length'))
      write(bytes)
      if (sentBytes === bodyBytes) stop('done')
    }
  }
  const finish = () => {
    if (!isSending()) return
    if (!isChunked && sentBytes < bodyBytes)
      return fail(new Error('the body of the request is shorter than its content-length'))
    stop('done')
    if (isChunked) socket.write('0\r\n\r\n', 'latin1')
  }
  const onBroken = (cause?: Error) => fail(cause ?? new Error('the body of the request broke off'))

  source.on('error', onBroken).on('readable', pump).on('end', finish).on('close', onBroken)
  if (source.readableEnded) finish()
  else if (source.destroyed) setImmediate(onBroken)
  else pump()
  return {
    isDone: () => state === 'done',
    isStarved: () => isStarved,
    goOn: pump,
    stop: () => stop(),
  }
}
