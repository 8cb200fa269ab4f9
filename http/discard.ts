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
export const discardRest = (req: CallerRequest): void => {
  let discardedBytes = 0
  const discard = (chunk: Buffer) => {
    discardedBytes += chunk.length
    if (discardedBytes <= maxDiscardedBytes) return
    req.off('data', discard).pause()
    const cutOff = setTimeout(() => req.destroy(), lingerMs) // and with it its connection, or its stream
    req.once('close', () => clearTimeout(cutOff))
  }
  req.removeAllListeners('readable') // else it would go on waiting to be read
  req.on('data', discard)
  req.resume()
}
