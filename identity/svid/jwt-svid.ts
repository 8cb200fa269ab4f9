import { hash } from 'node:crypto'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import { parseSpiffeId, trustDomainOf, type SpiffeId, type TrustDomain } from '#contract/spiffe-id'
import { jwtSvidTypes } from '../platforms/spiffe.ts'
import { parseClaims, parseCompactJws, refuseMember } from '../jwt/strict-parse.ts'
import { checkTimes, readTimes } from '../jwt/times.ts'
import type { Bundle } from './bundle.ts'

/** A JWT-SVID whose signature, audience and times were checked. */
export type VerifiedJwtSvid = {
  readonly spiffeId: SpiffeId
  readonly kid: string
  readonly jti: string | undefined
  readonly issuedAtMs: number | undefined
  readonly expiresAtMs: number
  /** SHA-256 of its signing input, base64url. */
  readonly fingerprint: string
}

const times = { skewSeconds: 30, minRemainingSeconds: 0 }
const maxLifetimeSeconds = 86_400

/**
 * Verifies a JWT-SVID with the keys of its own trust domain.
 *
 * @param audiences One of them it must be meant for.
 * @returns Refuses with one of the `token-…` problems.
 * @see JWT-SVID §3 and §4
 */
export const verifyJwtSvid = (
  token: string,
  bundle: Bundle,
  audiences: ReadonlySet<string>,
  nowMs: number,
): Result<VerifiedJwtSvid> => {
  const jws = parseCompactJws(token)
  if (!jws.ok) return jws
  const { kid, alg, typ, isPlain } = jws.value.header
  if (!isPlain) return refuseMember('more than alg, kid and typ')
  if (!jwtSvidTypes.includes(typ)) return refuse('token-type-refused', { cause: { typ } })
  const key = bundle.jwtKeys.get(kid)
  if (!key) return refuse('token-key-unknown', { cause: { kid } })
  if (key.algorithm !== alg) return refuse('token-algorithm-refused', { cause: { kid, alg } })
  if (!key.verify(jws.value.signingInput, jws.value.signature))
    return refuse('token-signature-invalid', { cause: { kid } })
  const claims = parseClaims(jws.value)
  if (!claims.ok) return claims
  const { sub, aud, jti } = claims.value
  const spiffeId = typeof sub === 'string' ? parseSpiffeId(sub) : invalid('sub')
  if (!spiffeId.ok) return invalid('sub')
  if (trustDomainOf(spiffeId.value) !== bundle.trustDomain) return invalid('sub')
  const meantFor: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!meantFor.some((audience) => typeof audience === 'string' && audiences.has(audience)))
    return refuse('token-audience-wrong')
  if (jti !== undefined && typeof jti !== 'string') return invalid('jti')
  const read = readTimes(claims.value, maxLifetimeSeconds, nowMs)
  if (!read.ok) return read
  const timely = checkTimes(read.value, times, nowMs)
  if (!timely.ok) return timely
  return pass({
    spiffeId: spiffeId.value,
    kid,
    jti,
    issuedAtMs: read.value.iat === undefined ? undefined : read.value.iat * 1000,
    expiresAtMs: read.value.exp * 1000,
    fingerprint: hash('sha256', jws.value.signingInput, 'base64url'),
  })
}

/**
 * The trust domain that a JWT-SVID says its subject is of, which says whose keys have to verify it. Nothing is verified yet.
 */
export const claimedTrustDomain = (token: string): TrustDomain | undefined => {
  const jws = parseCompactJws(token)
  const claims = jws.ok ? parseClaims(jws.value) : jws
  const sub = claims.ok ? claims.value['sub'] : undefined
  const spiffeId = typeof sub === 'string' ? parseSpiffeId(sub) : undefined
  return spiffeId?.ok ? trustDomainOf(spiffeId.value) : undefined
}

const invalid = (claim: string): Refusal => refuse('token-claim-invalid', { cause: { claim } })
