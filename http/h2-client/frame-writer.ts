import { defaultMaxFrameBytes, errorCode, type ErrorCode, flag, frameType } from './protocol.ts'

/* Frames as latin1 strings, see hpack-encode.ts. */

/** The nine octets before a frame's payload (RFC 9113 §4.1). */
export const frameHeader = (
  length: number,
  type: number,
  flags: number,
  streamId: number,
): string =>
  String.fromCharCode(
    length >>> 16,
    (length >>> 8) & 0xff,
    length & 0xff,
    type,
    flags,
    streamId >>> 24,
    (streamId >>> 16) & 0xff,
    (streamId >>> 8) & 0xff,
    streamId & 0xff,
  )

const uint16 = (value: number) => String.fromCharCode(value >>> 8, value & 0xff)

const uint32 = (value: number) =>
  String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)

export const settingsFrame = (settings: readonly (readonly [id: number, value: number])[]) =>
  frameHeader(settings.length * 6, frameType.settings, flag.none, 0) +
  settings.map(([id, value]) => uint16(id) + uint32(value)).join('')

export const settingsAck = frameHeader(0, frameType.settings, flag.ack, 0)

/** @param payload Eight octets, as latin1. */
export const pingFrame = (payload: string, flags: number): string =>
  frameHeader(8, frameType.ping, flags, 0) + payload

export const windowUpdateFrame = (streamId: number, increment: number): string =>
  frameHeader(4, frameType.windowUpdate, flag.none, streamId) + uint32(increment)

export const rstStreamFrame = (streamId: number, code: ErrorCode): string =>
  frameHeader(4, frameType.rstStream, flag.none, streamId) + uint32(code)

/** We accept no streams of the peer's, so the last one that we processed is 0. */
export const goawayFrame = (code: ErrorCode = errorCode.noError): string =>
  frameHeader(8, frameType.goaway, flag.none, 0) + uint32(0) + uint32(code)

/**
 * A field block as one HEADERS frame, and CONTINUATION frames for what does not fit.
 *
 * @see RFC 9113 §4.3
 */
export const headersFrames = (streamId: number, block: string, endStream: boolean): string => {
  const end = endStream ? flag.endStream : flag.none
  // The least that any peer must take; a block this large is rare, so a larger frame would gain nothing.
  const max = defaultMaxFrameBytes
  if (block.length <= max)
    return frameHeader(block.length, frameType.headers, end | flag.endHeaders, streamId) + block
  let frames = frameHeader(max, frameType.headers, end, streamId) + block.slice(0, max)
  for (let at = max; at < block.length; at += max) {
    const part = block.slice(at, at + max)
    const last = at + max >= block.length ? flag.endHeaders : flag.none
    frames += frameHeader(part.length, frameType.continuation, last, streamId) + part
  }
  return frames
}
