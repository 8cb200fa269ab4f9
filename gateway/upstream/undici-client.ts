import type { Duplex } from 'node:stream'
import { errors, Pool, type buildConnector, type Dispatcher } from 'undici'
import type { SpiffeId } from '#contract/spiffe-id'
import { endToEndHeaders, isTransferCoded } from '#http/hop-by-hop'
import type {
  UpstreamClient,
  UpstreamFault,
  UpstreamFaultKind,
  UpstreamHandler,
  UpstreamRequest,
} from '#http/upstream-client'
import type { Svid } from '#identity/svid/svid'
import { isPeerFault } from './dial.ts'
import { mutualTlsConnector } from './mutual-tls-connector.ts'

export type UndiciClientOptions = {
  /** `https://HOST:PORT`. */
  readonly endpoint: string
  /** Which of the addresses of its name is meant. */
  readonly address?: string
  readonly expected: SpiffeId
  readonly svid: Svid
  readonly maxConnections: number
  readonly connectTimeoutMs: number
}

/** Our own idle sockets end before a sidecar's usual five minutes, so that none is used just as it closes. */
const keepAliveMs = 30_000
const maxResponseHeaderBytes = 65_536

export type UpgradeHandler = UpstreamHandler & {
  /**
   * The peer has agreed. Called instead of `onHead`, as the last: the connection is the handler's from now on.
   *
   * @param headers Of its 101, as with `onHead`.
   */
  readonly onUpgrade: (headers: readonly string[], socket: Duplex) => void
}

export type UpgradingClient = UpstreamClient & {
  /** Starts a request that asks for WebSocket (RFC 6455 §4.1). Any answer but 101 is an answer like another. */
  readonly upgrade: (request: UpstreamRequest, handler: UpgradeHandler) => void
}

/** HTTP/1.1 to one endpoint, over connections on which it proved to be `expected`. */
export const undiciClient = (options: UndiciClientOptions): UpgradingClient =>
  http1Client({
    origin: options.endpoint,
    maxConnections: options.maxConnections,
    idleMs: keepAliveMs,
    connect: mutualTlsConnector(options.endpoint, () => options),
  })

export type Http1ClientOptions = {
  /** `https://HOST:PORT`. Where it is and who must answer there is for `connect` to know. */
  readonly origin: string
  readonly maxConnections: number
  /** How long a connection without a request is kept. */
  readonly idleMs: number
  /** What it is given is not to be gone by: undici takes names from the Host header. */
  readonly connect: buildConnector.connector
}

/** HTTP/1.1 over connections that someone else makes, and has verified. */
export const http1Client = ({
  origin,
  maxConnections,
  idleMs,
  connect,
}: Http1ClientOptions): UpgradingClient => {
  const pool = new Pool(origin, {
    connections: maxConnections,
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: idleMs,
    keepAliveMaxTimeout: idleMs, // else the peer's `Keep-Alive: timeout` would beat ours
    maxHeaderSize: maxResponseHeaderBytes,
    connect,
  })

  const send = (
    request: UpstreamRequest,
    handler: UpstreamHandler | UpgradeHandler,
    upgrade: 'websocket' | null,
  ) => {
    if (request.needsHttp2) return refuseUnsent(handler)
    pool.dispatch(
      {
        origin,
        path: request.path,
        method: request.method,
        headers: [
          'host',
          request.authority,
          ...withoutTe(request.headers),
          ...(request.sharedHeaders ?? []).flat(),
        ],
        body: request.body,
        headersTimeout: request.headersTimeoutMs,
        bodyTimeout: request.idleTimeoutMs,
        upgrade,
      },
      relayTo(handler, request.headersTimeoutMs),
    )
  }

  return {
    dispatch: (request, handler) => send(request, handler, null),
    upgrade: (request, handler) => send(request, handler, 'websocket'),
    close: () => pool.close(),
    destroy: (cause) => void pool.destroy(cause),
    stats: () => {
      const { connected, pending, running, queued } = pool.stats
      return { open: connected, connecting: 0, inFlight: running, queued: pending + queued }
    },
  }
}

const refuseUnsent = (handler: UpstreamHandler): void => {
  let isOver = false
  const end = (kind: UpstreamFaultKind, cause: unknown) => {
    if (isOver) return
    isOver = true
    handler.onError({ kind, cause, unsent: true })
  }
  handler.onStart({ abort: (cause) => end('aborted', cause), pause: () => {}, resume: () => {} })
  // Not at once: no function of a handler is called before `dispatch` has returned, save onStart.
  queueMicrotask(() => end('no-http2', 'only HTTP/1.1 is spoken there'))
}

/** `te` is hop-by-hop here; it may stand in a request for the sake of HTTP/2. */
const withoutTe = (headers: readonly string[]): readonly string[] => {
  const at = headers.indexOf('te')
  return at < 0 || at % 2 === 1 ? headers : headers.toSpliced(at, 2)
}

/** Undici's handler made of ours. */
const relayTo = (
  handler: UpstreamHandler | UpgradeHandler,
  queueTimeoutMs: number,
): Dispatcher.DispatchHandler => {
  let controller: Dispatcher.DispatchController | undefined
  let headed = false
  let ended = false
  const fail = (fault: UpstreamFault) => {
    if (ended) return
    ended = true
    clearTimeout(queueTimer)
    handler.onError(fault)
  }
  const stop = (kind: UpstreamFaultKind, cause: Error) => {
    const unsent = controller === undefined
    fail({ kind, cause, unsent })
    controller?.abort(cause)
  }
  // No timeout of undici covers the time in its queue.
  const queueTimer = queueTimeoutMs
    ? setTimeout(() => stop('timeout', new Error('no connection was free in time')), queueTimeoutMs)
    : undefined
  handler.onStart({
    abort: (cause) => stop('aborted', cause),
    pause: () => controller?.pause(),
    resume: () => controller?.resume(),
  })
  return {
    onRequestStart: (given) => {
      clearTimeout(queueTimer)
      controller = given
      if (ended) given.abort(new Error('no longer wanted'))
    },
    onRequestUpgrade: ({ rawHeaders }, _status, _headers, socket) => {
      socket.on('error', () => {}) // its 'close' follows; undici has taken its own listeners away
      if (ended || !('onUpgrade' in handler)) return void socket.destroy()
      ended = true
      handler.onUpgrade(endToEndHeaders(rawHeaders as readonly Buffer[]), socket)
    },
    onResponseStart: ({ rawHeaders }, status) => {
      if (ended) return
      if (isTransferCoded(rawHeaders as readonly Buffer[]))
        return stop('broken', new Error('its answer has another transfer coding than chunked'))
      const headers = endToEndHeaders(rawHeaders as readonly Buffer[])
      if (status < 200) return handler.onInformation?.(status, headers)
      headed = true
      handler.onHead(status, headers)
    },
    onResponseData: (_controller, chunk) => {
      if (!ended) handler.onData(chunk, false)
    },
    onResponseEnd: () => {
      if (ended) return
      ended = true
      handler.onEnd([]) // trailers are dropped: HTTP/1.1 callers were not told to expect any
    },
    onResponseError: (_controller, cause) =>
      fail({ kind: faultKindOf(cause, headed), cause, unsent: controller === undefined }),
  }
}

const faultKindOf = (cause: unknown, headed: boolean): UpstreamFaultKind => {
  if (isPeerFault(cause)) return 'identity-wrong'
  if (cause instanceof errors.HeadersTimeoutError || cause instanceof errors.BodyTimeoutError)
    return 'timeout'
  if (headed || cause instanceof errors.SocketError || cause instanceof errors.HTTPParserError)
    return 'broken'
  const code = (cause as NodeJS.ErrnoException).code ?? ''
  return unreachableCodes.has(code) || cause instanceof errors.ConnectTimeoutError
    ? 'unreachable'
    : 'broken'
}

const unreachableCodes = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'UND_ERR_CLOSED',
  'UND_ERR_DESTROYED',
])
