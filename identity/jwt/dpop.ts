import { hash } from 'node:crypto'
import type { SpendOnce } from '#contract/replay'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import { isJsonObject, type JsonObject } from '../json-strict.ts'
import type { DpopNonces } from './dpop-nonce.ts'
import { acceptJwk, privateMembers, type VerificationKey } from './jwks.ts'
import { isSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts'
import { parseClaims, splitJws } from './strict-parse.ts'

/** Algorithms of proofs that are accepted, as the metadata names them. */
export const dpopAlgorithms = ['ES256', 'ES384', 'EdDSA', 'PS256', 'RS256'] as const

export type DpopExpectation = {
  /** Of the request that it must be for. */
  readonly method: string
  /** URLs by which what was asked can be called, without query and fragment. */
  readonly urls: readonly string[]
  /** The access token that it must be for, at a resource server. */
  readonly accessToken?: string
  /** It must have one of these in it. */
  readonly nonces?: DpopNonces | undefined
}

/** How old a proof may be, and how far ahead the clock of its maker. */
const windowMs = 60_000
const skewMs = 10_000
const maxJtiChars = 256
const headerMembers = new Set(['typ', 'alg', 'jwk'])

/**
 * Checks a DPoP proof: signed by the key that it brings, for this method and URL, made just now, and not used before.
 *
 * @param proof The one `DPoP` header. Several are joined by commas, which no proof has in it.
 * @returns The thumbprint of the key (`jkt`). Refuses with `dpop-proof-invalid`, `dpop-nonce-needed`,
 *   `token-replayed` or `replay-unavailable`.
 * @see RFC 9449 §4.3
 */
export const verifyDpop = async (
  proof: string,
  expected: DpopExpectation,
  spendOnce: SpendOnce,
  nowMs: number,
): Promise<Result<string>> => {
  const jws = splitJws(proof)
  if (!jws.ok) return invalid('it is no compact JWS')
  const { header, signingInput, signature } = jws.value
  const key = await keyIn(header)
  if (!key.ok) return key
  const claims = parseClaims(jws.value)
  if (!claims.ok) return invalid('its payload is not acceptable')
  const fault = faultOf(claims.value, expected, nowMs)
  if (fault !== undefined) return invalid(fault)
  if (!key.value.verify(signingInput, signature)) return invalid('its signature is not valid')
  const { nonces } = expected
  if (nonces && !nonces.accepts(claims.value['nonce'], nowMs))
    return refuse('dpop-nonce-needed', {
      headers: {
        'WWW-Authenticate': 'DPoP error="use_dpop_nonce"',
        'DPoP-Nonce': nonces.current(nowMs),
      },
    })
  // By key, id and place: what one client chose as an id harms no other.
  const id = `${key.value.thumbprint} ${String(claims.value['htu'])} ${String(claims.value['jti'])}`
  const spent = await spendOnce(
    'dpop-proof',
    hash('sha256', id, 'base64url'),
    nowMs + windowMs + 2 * skewMs,
  )
  return spent.ok ? pass(key.value.thumbprint) : spent
}

const keyIn = async (header: JsonObject): Promise<Result<VerificationKey>> => {
  const { typ, alg, jwk } = header
  if (typ !== 'dpop+jwt') return invalid('its typ is not dpop+jwt')
  if (Object.keys(header).some((name) => !headerMembers.has(name)))
    return invalid('its header says more than typ, alg and jwk')
  if (!isSignatureAlgorithm(alg) || !isAccepted(alg)) return invalid('its alg is not accepted')
  if (!isJsonObject(jwk)) return invalid('it brings no jwk')
  if (jwk['kty'] === 'oct' || privateMembers.some((name) => Object.hasOwn(jwk, name)))
    return invalid('its jwk is no public key')
  const key = await acceptJwk({ ...jwk, kid: 'dpop' }, [alg])
  return key.ok ? pass(key.value) : invalid(`its jwk is not usable`, key.fault)
}

const isAccepted = (alg: SignatureAlgorithm): boolean =>
  (dpopAlgorithms as readonly string[]).includes(alg)

const faultOf = (
  { jti, htm, htu, iat, ath }: JsonObject,
  { method, urls, accessToken }: DpopExpectation,
  nowMs: number,
): string | undefined => {
  if (typeof jti !== 'string' || jti === '' || jti.length > maxJtiChars)
    return 'it has no usable jti'
  if (htm !== method) return 'its htm is another method'
  const place = typeof htu === 'string' ? normalised(htu) : undefined
  if (place === undefined || !urls.some((url) => normalised(url) === place))
    return 'its htu is another place'
  if (!Number.isSafeInteger(iat)) return 'it has no usable iat'
  const madeAtMs = Number(iat) * 1000
  if (madeAtMs > nowMs + skewMs || madeAtMs < nowMs - windowMs) return 'its iat is not now'
  if (accessToken !== undefined && ath !== hash('sha256', accessToken, 'base64url'))
    return 'its ath is of another token'
  return undefined
}

/** RFC 3986 §6.2.2 and §6.2.3, as RFC 9449 §4.3 wants it; with query or fragment it is none. */
const normalised = (text: string): string | undefined => {
  if (/[?#\s\\]/.test(text)) return undefined
  const url = URL.parse(text)
  if (url === null || url.username !== '' || url.password !== '') return undefined
  return `${url.protocol}//${url.host}${url.pathname}`
}

const invalid = (why: string, cause?: string): Refusal =>
  refuse('dpop-proof-invalid', {
    detail: `The DPoP proof: ${why}.`,
    ...(cause === undefined ? {} : { cause }),
    headers: { 'WWW-Authenticate': 'DPoP error="invalid_dpop_proof"' },
  })
