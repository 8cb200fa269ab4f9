import { frameHeaderBytes } from './protocol.ts'

/** Takes one whole frame, whose payload is `bytes` from `start` to `end`, valid only until it returns. */
export type OnFrame = (
  type: number,
  flags: number,
  streamId: number,
  bytes: Buffer,
  start: number,
  end: number,
) => void

export type FrameReader = {
  /**
   * Takes what arrived and hands on the frames that are whole. `bytes` may be overwritten afterwards.
   *
   * @returns False if a frame is larger than was allowed: nothing can be read after that.
   */
  readonly read: (bytes: Buffer) => boolean
}

/**
 * Cuts a stream of octets into frames. At most one frame's octets are ever kept.
 *
 * @param going Asked after each frame: false ends the reading, when a frame ended the connection.
 * @see RFC 9113 §4.1, §4.2
 */
export const frameReader = (
  maxFrameBytes: number,
  onFrame: OnFrame,
  going: () => boolean,
): FrameReader => {
  const capacity = frameHeaderBytes + maxFrameBytes
  /** A frame whose end has not arrived; made when the first is cut in two. */
  let partial: Buffer | undefined
  let filled = 0

  const emit = (bytes: Buffer, at: number, end: number) =>
    onFrame(
      bytes[at + 3] as number,
      bytes[at + 4] as number,
      streamIdAt(bytes, at + 5),
      bytes,
      at + frameHeaderBytes,
      end,
    )

  /** Fills the partial frame up to `size`; gives how far it came in `bytes`. */
  const fill = (into: Buffer, bytes: Buffer, from: number, size: number): number => {
    const count = Math.min(size - filled, bytes.length - from)
    bytes.copy(into, filled, from, from + count)
    filled += count
    return from + count
  }

  /** Completes the partial frame. Gives where the next one begins; -1 if it is too large. */
  const complete = (into: Buffer, bytes: Buffer): number => {
    let at = 0
    if (filled < frameHeaderBytes) at = fill(into, bytes, at, frameHeaderBytes)
    if (filled < frameHeaderBytes) return at
    const length = lengthAt(into, 0)
    if (length > maxFrameBytes) return -1
    const size = frameHeaderBytes + length
    at = fill(into, bytes, at, size)
    if (filled < size) return at
    filled = 0
    emit(into, 0, size)
    return at
  }

  const read = (bytes: Buffer): boolean => {
    let at = 0
    if (filled > 0 && partial !== undefined) {
      at = complete(partial, bytes)
      if (at < 0) return false
    }
    while (bytes.length - at >= frameHeaderBytes) {
      if (!going()) return true
      const length = lengthAt(bytes, at)
      if (length > maxFrameBytes) return false
      const end = at + frameHeaderBytes + length
      if (end > bytes.length) break
      emit(bytes, at, end)
      at = end
    }
    if (at < bytes.length && going()) {
      partial ??= Buffer.allocUnsafeSlow(capacity)
      fill(partial, bytes, at, capacity)
    }
    return true
  }

  return { read }
}

const lengthAt = (bytes: Buffer, at: number): number =>
  ((bytes[at] as number) << 16) | ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number)

/** The reserved bit is ignored (§4.1). */
const streamIdAt = (bytes: Buffer, at: number): number =>
  (((bytes[at] as number) & 0x7f) << 24) |
  ((bytes[at + 1] as number) << 16) |
  ((bytes[at + 2] as number) << 8) |
  (bytes[at + 3] as number)
