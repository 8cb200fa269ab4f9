/** The numbers of RFC 9113: frame types and flags (§6), settings (§6.5.2), error codes (§7). */

export const frameHeaderBytes = 9
/** We never announce more, so no frame that arrives may be larger (§4.2). */
export const defaultMaxFrameBytes = 16_384
export const largestMaxFrameBytes = 16_777_215
export const defaultWindowBytes = 65_535
export const largestWindowBytes = 2_147_483_647
export const largestStreamId = 2_147_483_647
export const connectionPreface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export const frameType = {
  data: 0,
  headers: 1,
  priority: 2,
  rstStream: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const

export const flag = {
  none: 0,
  /** On DATA and HEADERS. */
  endStream: 1,
  /** On SETTINGS and PING. */
  ack: 1,
  endHeaders: 4,
  padded: 8,
  priority: 32,
} as const

export const setting = {
  headerTableSize: 1,
  enablePush: 2,
  maxConcurrentStreams: 3,
  initialWindowSize: 4,
  maxFrameSize: 5,
  maxHeaderListSize: 6,
} as const

export const errorCode = {
  noError: 0,
  protocolError: 1,
  internalError: 2,
  flowControlError: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSizeError: 6,
  refusedStream: 7,
  cancel: 8,
  compressionError: 9,
  connectError: 10,
  enhanceYourCalm: 11,
  inadequateSecurity: 12,
  http11Required: 13,
} as const
export type ErrorCode = (typeof errorCode)[keyof typeof errorCode]

const names = new Map<number, string>(
  Object.entries(errorCode).map(([name, code]) => [
    code,
    name.replaceAll(/([A-Z])/g, '_$1').toUpperCase(),
  ]),
)

/** As the RFC spells it, for records. A code that we do not know is as good as INTERNAL_ERROR (§7). */
export const errorCodeName = (code: number): string => names.get(code) ?? `error code ${code}`
