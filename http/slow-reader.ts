import type { Socket } from 'node:net'

/** Something that is written to: a socket, or an answer on one. */
type Written = Pick<Socket, 'writableLength' | 'bytesWritten'>

export type SlowReaderLimits = {
  /** A connection whose caller takes its answer slower than this is cut. 0: no limit. */
  readonly minReadBytesPerSecond: number
  /** Time that a caller may take nothing at all, whatever the rate. */
  readonly slowReadGraceMs: number
}

type Progress = {
  /** Bytes that the kernel had taken when there was last any progress. */
  readonly flushedBytes: number
  readonly pendingBytes: number
  readonly sinceMs: number
}

/**
 * Makes the judge of callers that do not read: Node's own timers stay quiet as long as a byte goes out now and then.
 *
 * It sees progress only when a whole chunk has gone out, so it allows what is pending the time it may take at the lowest
 * rate, and the grace on top.
 *
 * @returns A function that, asked again and again, says whether this socket is to be cut.
 */
export const slowReaderJudge = ({
  minReadBytesPerSecond,
  slowReadGraceMs,
}: SlowReaderLimits): ((socket: Written, nowMs: number) => boolean) => {
  const progressOf = new WeakMap<Written, Progress>()
  return (socket, nowMs) => {
    const pendingBytes = socket.writableLength
    if (minReadBytesPerSecond === 0) return false
    const last = progressOf.get(socket)
    if (pendingBytes === 0) {
      if (last !== undefined) progressOf.delete(socket)
      return false
    }
    const flushedBytes = socket.bytesWritten - pendingBytes
    if (last === undefined || flushedBytes > last.flushedBytes) {
      progressOf.set(socket, { flushedBytes, pendingBytes, sinceMs: nowMs })
      return false
    }
    const allowedMs = slowReadGraceMs + (last.pendingBytes / minReadBytesPerSecond) * 1000
    return nowMs - last.sinceMs > allowedMs
  }
}
