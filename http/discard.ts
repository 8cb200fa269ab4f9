import type { CallerRequest } from './caller.ts'

/** Rest of an unwanted body that is still read, so that the answer is not lost to a reset. */
const maxDiscardedBytes = 1024 * 1024

/**
 * Reads and forgets what is left of a body that nobody wants any more; a caller that goes on and on is cut off. Without
 * this a kept connection would never come to its next request.
 */
export const discardRest = (req: CallerRequest): void => {
  let discardedBytes = 0
  req.removeAllListeners('readable') // else it would go on waiting to be read
  req.on('data', (chunk: Buffer) => {
    discardedBytes += chunk.length
    if (discardedBytes > maxDiscardedBytes) req.destroy() // and with it its connection, or its stream
  })
  req.resume()
}
