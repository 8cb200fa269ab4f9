import type { LegacyEvidence, LegacyMethod } from '#contract/legacy'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import { spiffePathOf, type SpiffeId } from '#contract/spiffe-id'
import { tokenTypes } from '#contract/token-exchange'
import type { Soon } from '#contract/step'
import { isDigestOf, meaningfulFields } from '#identity/credentials/signed-request'
import type { LegacyIdentities } from '../legacy-identities.ts'
import type { Mint } from '../mint-cache.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

type Asking = Received & {
  readonly head: RequestHead
  readonly route: CompiledRoute
}

/** A signed body is read whole before anyone gets a byte of it, so there is a bound to that. */
const maxSignedBodyBytes = 1_048_576
/** The exchange takes no more. */
const maxEvidenceChars = 12_000

/**
 * What a request shows that this route takes: a signature over it, an API key, a password, or, if it shows nothing else, the
 * certificate of its connection. Undefined for nothing; a bearer token is none of these.
 *
 * @returns Refuses with `credential-ambiguous` when it shows two, a bearer token among them.
 */
export const legacyEvidenceOf = (
  { head, peer, route, body }: Asking,
  methods: ReadonlySet<LegacyMethod>,
): Result<LegacyEvidence | undefined> => {
  const authorization = headerOf(head, 'authorization')
  const apiKey = methods.has('api_key') ? headerOf(head, 'x-api-key') : undefined
  const isSigned =
    methods.has('signed_request') &&
    (headerOf(head, 'signature') !== undefined || headerOf(head, 'signature-input') !== undefined)
  const shown = [authorization, apiKey, isSigned ? 'signature' : undefined]
  if (shown.filter((one) => one !== undefined).length > 1) return refuse('credential-ambiguous')
  if (isSigned) return pass(signedRequest(head, body.expected))
  if (apiKey !== undefined)
    return several(head, 'x-api-key')
      ? refuse('credential-ambiguous')
      : pass({ method: 'api_key', key: apiKey })
  if (authorization !== undefined)
    return pass(
      methods.has('basic') && /^basic /i.test(authorization)
        ? { method: 'basic', authorization }
        : undefined,
    )
  const { certificate } = peer
  return pass(
    certificate && methods.has('client_certificate') && route.legacy
      ? { method: 'client_certificate', certificate: certificate.toString('base64') }
      : undefined,
  )
}

/**
 * The identity that the exchange has for a credential. The body of a signed request is read only now that it is known who
 * signed it, and is what was signed.
 *
 * @returns Refuses with `credential-refused`, `rate-exceeded`, `token-replayed`, `replay-unavailable`,
 *   `identity-unavailable`; with `identity-drift` for an identity that is not marked as a legacy caller's; with
 *   `body-too-large` for a signed body of more than 1 MiB.
 */
export const legacyIdentity = (
  evidence: LegacyEvidence,
  request: Asking,
  identities: LegacyIdentities,
): Soon<Result<Mint>> => {
  const { head, route, body, nowMs, decisionId, trace } = request
  if (evidence.method === 'signed_request' && JSON.stringify(evidence).length > maxEvidenceChars)
    return withChallenge(
      refuse('credential-refused', { cause: 'what it signs is too long' }),
      route,
    )
  const soon = identities.take(
    evidence,
    {
      audience: route.audience,
      requestedTokenType:
        route.config.identity.token === 'jwt-svid' ? tokenTypes.jwt : tokenTypes.accessToken,
      decisionId,
      ...(trace ? { traceParent: () => trace.headers(request)[1] } : {}),
    },
    nowMs,
  )
  const checked = (result: Result<Mint>): Soon<Result<Mint>> => {
    if (!result.ok)
      return result.problem.tag === 'credential-refused' ? withChallenge(result, route) : result
    if (!isMarked(result.value.minted.subject))
      return refuse('identity-drift', {
        cause: `the exchange minted ${result.value.minted.subject} for a legacy caller`,
      })
    if (evidence.method !== 'signed_request') return result
    return digestFits(head, body, route).then((fits) => (fits.ok ? result : fits))
  }
  return soon instanceof Promise ? soon.then(checked) : checked(soon)
}

/** Told to who shows nothing, or nothing that is known. */
export const challengesOf = ({ legacy, issuers }: CompiledRoute): Record<string, string> => ({
  'WWW-Authenticate': [
    ...((issuers?.size ?? 0) > 0 ? ['Bearer'] : []),
    ...[...(legacy ?? [])].map((method) => challenges[method]),
  ].join(', '),
})

/** Only Basic is registered with IANA; the others say what would be taken (RFC 9110 §11.6.1 wants one). */
const challenges = {
  api_key: 'ApiKey realm="sallyport", header="X-API-Key"',
  basic: 'Basic realm="sallyport", charset="UTF-8"',
  signed_request: 'Signature realm="sallyport"',
  client_certificate: 'ClientCertificate realm="sallyport"',
} as const satisfies Record<LegacyMethod, string>

const withChallenge = ({ problem }: Refusal, route: CompiledRoute): Refusal => ({
  ok: false,
  problem: { ...problem, headers: challengesOf(route) },
})

/** The exchange is told what is signed, and what would have to be. */
const signedRequest = (head: RequestHead, hasBody: boolean): LegacyEvidence => {
  const input = headerOf(head, 'signature-input') ?? ''
  const named = new Set<string>(meaningfulFields)
  named.delete('x-request-id') // ours replaces it
  for (const name of ['signature', 'signature-input']) named.add(name)
  for (const [, name = ''] of input.matchAll(/"([a-z0-9-]{1,64})"/g)) named.add(name)
  const headers: Record<string, string> = {}
  for (const name of named) {
    const value = valuesOf(head, name).join(', ')
    if (value !== '') headers[name] = value
  }
  const { host, port, path, query, method } = head
  const name = host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
  const authority = port === undefined ? name : `${name}:${port}`
  return {
    method: 'signed_request',
    request: { method, authority, path, query, headers, hasBody },
  }
}

const digestFits = async (
  head: RequestHead,
  body: Asking['body'],
  route: CompiledRoute,
): Promise<Result<void>> => {
  const digest = headerOf(head, 'content-digest')
  if (!body.expected && digest === undefined) return pass(undefined)
  const maxBytes = Math.min(route.config.maxBodyBytes, maxSignedBodyBytes)
  const peeked = await body.peek(maxBytes + 1)
  if (!peeked.ok) return peeked
  const { bytes, whole } = peeked.value
  if (!whole || bytes.length > maxBytes)
    return refuse('body-too-large', { detail: `A signed body may have ${maxBytes} bytes.` })
  return isDigestOf(digest ?? '', bytes)
    ? pass(undefined)
    : withChallenge(
        refuse('credential-refused', { cause: 'its Content-Digest is not that of its body' }),
        route,
      )
}

const valuesOf = ({ headers }: RequestHead, name: string): readonly string[] =>
  headers.filter((_value, i) => i % 2 === 1 && headers[i - 1] === name)

const several = (head: RequestHead, name: string): boolean => valuesOf(head, name).length > 1

/** As the exchange's configuration must say it, too. */
const isMarked = (id: SpiffeId): boolean => spiffePathOf(id).split('/').includes('legacy')
