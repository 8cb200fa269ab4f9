import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { HeaderTableOptions } from './header-table.ts'
import { targetReader, type PathPolicy } from './normalise-path.ts'
import { headerReader } from './read-headers.ts'

/**
 * The head of a request as Node's parser delivers it; an IncomingMessage is one. One of HTTP/2 is `2`, which no request line
 * can say, and comes from `h2-server/request-head.ts`.
 */
export type RawHead = {
  readonly method?: string | undefined
  readonly url?: string | undefined
  readonly httpVersion: string
  readonly rawHeaders: readonly string[]
  /** Of HTTP/2, larger than a head may be. Node itself refuses one of HTTP/1.1. */
  readonly isTooLarge?: boolean
  /** Of HTTP/2: its sender keeps trailers; it is a call of gRPC. */
  readonly acceptsTrailers?: boolean
  readonly isGrpc?: boolean
}

export type RawGateOptions = HeaderTableOptions & {
  readonly path: PathPolicy
  /** Upper-case. CONNECT and TRACE have no business here. */
  readonly methods: readonly string[]
  readonly maxHeaderPairs: number
  readonly maxTargetBytes: number
  /** HTTP/1.0, which must have a Host header here. */
  readonly allowHttp10: boolean
  /** A body with GET or HEAD; routes decide for themselves then. */
  readonly allowGetBody: boolean
  /** `Upgrade: websocket`; routes decide for themselves then. All other upgrades are refused. */
  readonly allowWebSocket: boolean
}

/** What a listener for callers from outside does unless it is told otherwise. */
export const strictGate: RawGateOptions = {
  unusualNames: 'refuse',
  reservedPrefixes: [],
  singleNames: [],
  path: { mode: 'reject', semicolon: 'refuse' },
  methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  maxHeaderPairs: 100,
  maxTargetBytes: 8192,
  allowHttp10: false,
  allowGetBody: false,
  allowWebSocket: true,
}

/**
 * Makes the first check of every request. Node's parser is strict about framing and lenient about meaning; this is
 * strict about meaning, so that nobody behind it reads a request differently than we did.
 *
 * @returns A function of the head and of the bytes that came right behind it in an upgrade. It refuses with
 *   `request-malformed`, `host-invalid`, `header-invalid`, `header-repeated`, `path-invalid`, `method-not-allowed`,
 *   `upgrade-refused`, `target-too-long`, `expectation-failed` or `headers-too-large`. The headers that it passes are
 *   lower-case and still hold `host` (as `host:port` of the result), `authorization` and `content-length`.
 * @see RFC 9112, RFC 9110 §7; docs of each rule in `test/http/raw-gate-rows.ts`
 */
export const rawGate = (
  options: RawGateOptions,
): ((raw: RawHead, early?: Buffer) => Result<RequestHead>) => {
  const methods = new Set(options.methods)
  const allow = options.methods.join(', ')
  const readTarget = targetReader(options.path)
  const readHeaders = headerReader(options)

  return (raw, early) => {
    const { method = '', url = '', httpVersion, rawHeaders } = raw
    if (httpVersion !== '1.1') {
      const fault = versionFault(raw, options)
      if (fault !== undefined) return fault
    }
    if (!methods.has(method)) return refuse('method-not-allowed', { headers: { allow } })
    if (rawHeaders.length > 2 * options.maxHeaderPairs) return refuse('headers-too-large')
    if (url.length > options.maxTargetBytes) return refuse('target-too-long')
    if (!url.startsWith('/')) return notOriginForm
    const target = readTarget(url)
    if (!target.ok) return target
    const read = readHeaders(rawHeaders)
    if (!read.ok) return read
    const { authority, headers, upgrade, hasBody, isChunked } = read.value
    if (isChunked && httpVersion === '1.0') return malformed('Transfer-Encoding needs HTTP/1.1.')
    if (hasBody && (method === 'GET' || method === 'HEAD') && !options.allowGetBody)
      return malformed(`A ${method} has no body here.`)
    if (upgrade !== 'none') {
      if (upgrade !== 'websocket' || !options.allowWebSocket) return refuse('upgrade-refused')
      if (method !== 'GET' || hasBody || httpVersion !== '1.1') return malformedUpgrade
      // They would reach the service as if they were part of what it agreed to (Envoy CVE-2026-73548).
      if (early !== undefined && early.length > 0) return tooEarly
    }
    return pass({
      method,
      host: authority.host,
      port: authority.port,
      path: target.value.path,
      query: target.value.query,
      headers,
      acceptsTrailers: raw.acceptsTrailers === true,
      isGrpc: raw.isGrpc === true,
    })
  }
}

const versionFault = (
  { httpVersion, rawHeaders, isTooLarge }: RawHead,
  { allowHttp10 }: RawGateOptions,
): Refusal | undefined => {
  if (httpVersion === '2')
    return isTooLarge ? refuse('headers-too-large') : connectionFault(rawHeaders)
  if (httpVersion === '1.0' && allowHttp10) return undefined
  return malformed(`HTTP/${httpVersion} is not served here.`)
}

/** They would speak of a connection that is many requests' (RFC 9113 §8.2.2). nghttp2 refuses them before us. */
const connectionFault = (rawHeaders: readonly string[]): Refusal | undefined => {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (aboutConnection.has(name)) return refuse('header-invalid', { detail: name })
  }
  return undefined
}

const aboutConnection: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'upgrade',
])

const malformed = (detail: string) => refuse('request-malformed', { detail })
const notOriginForm = malformed('The request target is not a path.')
const malformedUpgrade = refuse('upgrade-refused', {
  detail: 'An upgrade is a GET without a body.',
})
const tooEarly = refuse('upgrade-refused', {
  detail: 'Data came before the upgrade was agreed to.',
})
