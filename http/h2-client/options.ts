import type { OnReadOpts } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AnswerDecoder } from './answer-decoder.ts'

/** What came of trying to connect. A socket is one whose peer has proved its identity, and with TLS agreed on `h2`. */
export type Connected =
  | { readonly ok: true; readonly socket: Duplex }
  | {
      readonly ok: false
      readonly kind: 'unreachable' | 'identity-wrong' | 'timeout'
      readonly cause: unknown
    }

/**
 * Connects and verifies the peer, so that no request is written to anyone else.
 *
 * @param wishes.onread To be handed to `tls.connect` or `net.connect` where possible: it saves a buffer for each read.
 *   Without it, `data` events are listened to.
 * @param wishes.signal Aborts when nobody waits any more.
 */
export type Connect = (wishes: {
  readonly onread: OnReadOpts
  readonly signal: AbortSignal
}) => Promise<Connected>

export type H2ClientOptions = {
  readonly connect: Connect
  /** Goes out as `:scheme`. Default `https`. */
  readonly scheme?: 'http' | 'https'
  /** Reads answers' heads; one may be shared by any number of clients. Default: one of its own, with default limits. */
  readonly decoder?: AnswerDecoder
  readonly limits?: Partial<H2Limits>
}

export type H2Limits = {
  /** And as many for requests with long heads. The same goes for what is queued. */
  readonly maxConnections: number
  /** Requests at one time on one connection, at most what the peer allows. */
  readonly maxInFlight: number
  /** Requests that wait for a connection; more are refused as `busy`. */
  readonly maxQueued: number
  /** After so many, a connection is replaced; also keeps clear of the last stream id. */
  readonly maxRequestsPerConnection: number
  /** What a peer may send of one answer ahead of its reader, so memory is at most this × maxInFlight a connection. */
  readonly streamWindowBytes: number
  readonly connectTimeoutMs: number
  /** Until the peer's SETTINGS and its acknowledgement of ours. */
  readonly settingsTimeoutMs: number
  /** With requests in flight and nothing arriving for so long, a PING is sent; the same time again without an answer ends it. */
  readonly pingAfterMs: number
  /** A connection without requests is closed after this. */
  readonly idleConnectionMs: number
  /** After a connection failed, the first pause before another is tried, doubled each time up to the longest. */
  readonly firstBackoffMs: number
  readonly longestBackoffMs: number
  /** Frames that move nothing (PING, SETTINGS, PRIORITY, empty DATA …) that may come at once, and each second. */
  readonly overheadBurst: number
  readonly overheadPerSecond: number
  /** RST_STREAM that we send at once, and each second: below what peers take for an attack (CVE-2023-44487). */
  readonly resetBurst: number
  readonly resetsPerSecond: number
}

export const defaultLimits: H2Limits = {
  maxConnections: 4,
  maxInFlight: 512,
  maxQueued: 1024,
  maxRequestsPerConnection: 1_000_000_000,
  streamWindowBytes: 131_072,
  connectTimeoutMs: 5_000,
  settingsTimeoutMs: 5_000,
  pingAfterMs: 5_000,
  idleConnectionMs: 60_000,
  firstBackoffMs: 50,
  longestBackoffMs: 10_000,
  overheadBurst: 1_000,
  overheadPerSecond: 200,
  resetBurst: 400,
  resetsPerSecond: 25,
}

/** Limits of an answer's head. */
export const answerLimits = { maxHeaderListBytes: 32_768, maxFields: 200 } as const
/** A block that is longer cannot decode to a list within the limit, save by a most wasteful code. */
export const maxBlockBytes = answerLimits.maxHeaderListBytes
export const maxContinuations = 8
/** 1xx answers to one request. */
export const maxInformational = 8
