import type { Duplex, Readable } from 'node:stream'
import type { CallerRequest } from './caller.ts'

/** Rest of an unwanted body that is read and forgotten. What comes after it waits in the connection. */
const maxDiscardedBytes = 4 * 1024 * 1024

/**
 * How long a caller that goes on sending has to read its answer. A connection that ends with something unread in it is
 * reset, and a reset takes away what the caller has not read: on a busy machine that can be some time after it arrived.
 */
export const lingerMs = 2000

/**
 * Reads and forgets what is left of a body that nobody wants any more. A caller that goes on and on is held back, then cut
 * off. Without this a kept connection would never come to its next request.
 */
export const discardRest = (req: CallerRequest): void => discard(req, () => cutOffLater(req)) // and with it its connection, or its stream

/**
 * The same on a connection that has had its last answer and is ended on our side: it is closed once the caller has ended
 * it too, and after `lingerMs` in any case.
 */
export const discardUntilClosed = (socket: Duplex): void => {
  socket.once('end', () => socket.destroy())
  cutOffLater(socket)
  discard(socket, () => {})
}

/** How long a caller has to take the last that is written to it, before there is room for all of that on its way. */
export const takingMs = 10_000

/**
 * Writes the last, and ends our side. A caller that reads nothing would have it wait for ever, where nobody looks at how
 * long a connection is idle any more: it is cut off.
 *
 * @param written Told once all of it is on its way.
 */
export const endWith = (socket: Duplex, last: string | Buffer, written: () => void): void => {
  const cutOff = setTimeout(() => socket.destroy(), takingMs)
  socket.once('close', () => clearTimeout(cutOff))
  socket.end(last, () => {
    clearTimeout(cutOff)
    written()
  })
}

const discard = (from: Readable, enough: () => void): void => {
  let discardedBytes = 0
  const forget = (chunk: Buffer) => {
    discardedBytes += chunk.length
    if (discardedBytes <= maxDiscardedBytes) return
    from.off('data', forget).pause()
    enough()
  }
  from.removeAllListeners('readable') // else it would go on waiting to be read
  from.on('data', forget)
  from.resume()
}

const cutOffLater = (from: Readable): void => {
  const cutOff = setTimeout(() => from.destroy(), lingerMs)
  from.once('close', () => clearTimeout(cutOff))
}
