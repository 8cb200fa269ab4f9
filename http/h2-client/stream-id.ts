import type { Connection } from './connection.ts'

/** Whether a stream is idle: even ids are the peer's, and we allow it none (RFC 9113 §5.1.1). */
export const neverOpened = (connection: Connection, streamId: number): boolean =>
  (streamId & 1) === 0 || streamId >= connection.nextStreamId

/**
 * Whether the peer had ended this stream itself, so that nothing more may come of it. Of a stream that we reset, or whose
 * slot was used again since, frames may still be under way.
 */
export const endedByPeer = (connection: Connection, streamId: number): boolean => {
  const slot = (streamId >>> 1) & connection.ringMask
  return connection.lastIds[slot] === streamId && connection.resetIds[slot] !== streamId
}
