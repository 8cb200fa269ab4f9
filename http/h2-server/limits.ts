/** What one connection of HTTP/2 may cost us, besides what `ListenerLimits` says of every connection. */
export type Http2Limits = {
  /** Announced. More are refused unseen, and then the connection ends. */
  readonly maxConcurrentStreams: number
  /** So many requests may be cancelled at once (rapid reset, CVE-2023-44487) … */
  readonly resetBurst: number
  /** … and so many each second from then on. */
  readonly resetsPerSecond: number
  /** So many PING and SETTINGS may come without a request between them … */
  readonly controlFrameBurst: number
  /** … and so many each second from then on. */
  readonly controlFramesPerSecond: number
  /** Frames that break the protocol and only cost their stream. */
  readonly maxInvalidFrames: number
  /** What may be held for a connection: header blocks, bodies, frames that wait to be sent. */
  readonly maxMemoryMegabytes: number
  /** Of a body, and of all bodies of a connection, as much is on its way unasked for. */
  readonly receiveWindowBytes: number
  /** How long a connection without a request is kept. */
  readonly idleTimeoutMs: number
}

export const defaultHttp2Limits: Http2Limits = {
  maxConcurrentStreams: 100,
  resetBurst: 100,
  resetsPerSecond: 20,
  controlFrameBurst: 100,
  controlFramesPerSecond: 20,
  maxInvalidFrames: 100,
  maxMemoryMegabytes: 10,
  receiveWindowBytes: 65_535,
  idleTimeoutMs: 30_000,
}

/** Settings that the other side may list in one frame. */
export const maxSettings = 32
export const maxOutstandingPings = 10
