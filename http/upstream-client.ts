import type { Readable } from 'node:stream'

/**
 * One request to one trusted upstream. What is in it was checked before (the gate, the pipeline): an implementation
 * throws a TypeError for a field that cannot be sent, since that is a bug of ours.
 */
export type UpstreamRequest = {
  /** Upper-case; not CONNECT. */
  readonly method: string
  /** Path and query. */
  readonly path: string
  /** Goes out as `:authority`, or as Host. */
  readonly authority: string
  /**
   * Name, value, name, value …: names lower-case, end-to-end fields only, values latin1. No `host`. `content-length` if
   * the length of the body is known. `te: trailers` may stand here (gRPC wants it); HTTP/1.1 leaves it out.
   */
  readonly headers: readonly string[]
  /** More such lists, sent behind it. Many requests share each, which never changes, so that it is written once. No `content-length`. */
  readonly sharedHeaders?: readonly (readonly string[])[]
  /**
   * Read only as fast as the upstream takes it. It is never destroyed here, only no longer read: it may be the caller's
   * own request, and the caller is still to get an answer.
   */
  readonly body: null | Buffer | Readable
  /** Over HTTP/1.1 it would mean nothing: then it fails with `no-http2`, unsent. */
  readonly needsHttp2?: boolean
  /** From the last progress of the request until the head of the answer, waiting for a connection included. 0: no limit. */
  readonly headersTimeoutMs: number
  /** Between two parts of the answer. Time in which the handler has paused it does not count. 0: no limit. */
  readonly idleTimeoutMs: number
}

/** What the asker may do with its request. Every function does nothing once the request has ended. */
export type UpstreamControl = {
  /** Ends it now; `onError` is called with kind `aborted`, before this returns or soon after. */
  readonly abort: (cause: Error) => void
  /** No `onData` and no `onEnd` until `resume`. What arrives meanwhile is bounded, by the window or the socket. */
  readonly pause: () => void
  readonly resume: () => void
}

/**
 * Told of a request. `onStart` comes first, before `dispatch` returns; the others after it returned, in this order:
 * `onInformation`*, `onHead`, `onData`*, `onEnd`. Exactly one of `onEnd` and `onError` is called, once, as the last.
 * No function may throw.
 */
export type UpstreamHandler = {
  readonly onStart: (control: UpstreamControl) => void
  /** A 1xx answer other than 101. */
  readonly onInformation?: (status: number, headers: readonly string[]) => void
  /**
   * The final answer's head.
   *
   * @param headers Name, value, name, value …: names lower-case, values latin1, hop-by-hop ones removed. The array may be
   *   shared between answers: never change it.
   */
  readonly onHead: (status: number, headers: readonly string[]) => void
  /**
   * A part of the body, never empty, the handler's to keep.
   *
   * @param last True when it is known that no more data and no trailers will come, so that the handler can send the end
   *   with it. False says nothing.
   */
  readonly onData: (chunk: Buffer, last: boolean) => void
  /** @param trailers As headers; empty if there were none. */
  readonly onEnd: (trailers: readonly string[]) => void
  readonly onError: (fault: UpstreamFault) => void
}

/**
 * What became of a request that has no whole answer.
 *
 * - `unreachable`: no connection could be had;
 * - `no-http2`: the peer speaks HTTP/1.1 alone, and the request needs HTTP/2;
 * - `identity-wrong`: the peer could not prove to be who it must be;
 * - `broken`: the peer broke off, or broke the protocol;
 * - `timeout`: one of the request's limits;
 * - `busy`: every connection and the queue are full;
 * - `aborted`: by the asker, or its body broke off.
 */
export type UpstreamFaultKind =
  | 'unreachable'
  | 'no-http2'
  | 'identity-wrong'
  | 'broken'
  | 'timeout'
  | 'busy'
  | 'aborted'

export type UpstreamFault = {
  readonly kind: UpstreamFaultKind
  /** For the record. */
  readonly cause: unknown
  /** Nothing of it reached the application and nothing of the body was read: the same request may go elsewhere. */
  readonly unsent: boolean
}

/** Requests to one upstream endpoint over connections whose peer has proved its identity. */
export type UpstreamClient = {
  /** Starts a request. It throws only a TypeError, for what cannot be a request; every other fault goes to `onError`. */
  readonly dispatch: (request: UpstreamRequest, handler: UpstreamHandler) => void
  /** Takes no more requests (`unreachable`, unsent), lets those in flight finish; resolves when the last connection is closed. */
  readonly close: () => Promise<void>
  /** Ends everything now: those in flight are `broken`, those waiting `unreachable`. */
  readonly destroy: (cause: Error) => void
  readonly stats: () => UpstreamStats
}

export type UpstreamStats = {
  /** Connections that can carry requests. */
  readonly open: number
  readonly connecting: number
  /** Requests on a connection. */
  readonly inFlight: number
  /** Requests that wait for one. */
  readonly queued: number
}
