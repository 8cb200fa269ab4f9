import { createHash } from 'node:crypto'
import type { SpendOnce } from '#contract/replay'
import { isJsonObject } from '#identity/json-strict'
import type { KeySet } from '#identity/jwt/jwks'
import { parseClaims, parseCompactJws } from '#identity/jwt/strict-parse'
import { readTimes, checkTimes } from '#identity/jwt/times'
import { bad, good, type Outcome } from '#identity/outcome'
import type { Problem } from '#contract/problem'

export type AssertionParts = {
  /** Our own identifier: the sole audience that is accepted. */
  readonly issuer: string
  readonly spendOnce: SpendOnce
}

export const clientAssertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

const maxLifetimeSeconds = 300
const skewSeconds = 30
const maxJtiChars = 256
/** RFC 7523bis: a type of its own, or none; never that of another kind of token. */
const types: readonly (string | undefined)[] = ['client-authentication+jwt', 'JWT', undefined]

/** Whose assertion it claims to be, unverified: to find the keys to check it with. */
export const claimedClientOf = (assertion: string): string | undefined => {
  const jws = parseCompactJws(assertion)
  const claims = jws.ok ? parseClaims(jws.value) : jws
  return claims.ok && isJsonObject(claims.value) && typeof claims.value['sub'] === 'string'
    ? claims.value['sub']
    : undefined
}

/**
 * Checks a client's assertion: by a key of its own, from it and about it, for us **alone** (an assertion that names another
 * server besides could have been made for that one: audience injection), short-lived, and used once.
 *
 * @returns A fault says why not, for the record.
 * @see RFC 7523 §3, draft-ietf-oauth-rfc7523bis §4
 */
export const checkClientAssertion = async (
  assertion: string,
  clientId: string,
  keys: KeySet['keys'],
  { issuer, spendOnce }: AssertionParts,
  nowMs: number,
): Promise<
  Outcome<void> | { readonly ok: false; readonly fault: string; readonly problem: Problem }
> => {
  const jws = parseCompactJws(assertion)
  if (!jws.ok) return bad(jws.problem.detail ?? 'it is malformed')
  const { header, signingInput, signature } = jws.value
  if (!types.includes(header.typ)) return bad('its typ is that of something else')
  const key = keys.get(header.kid)
  if (key === undefined) return bad('its kid is not one of the client')
  if (key.algorithm !== header.alg || !key.verify(signingInput, signature))
    return bad('its signature is not valid')
  const claims = parseClaims(jws.value)
  if (!claims.ok) return bad('its payload is not acceptable')
  const { iss, sub, aud, jti } = claims.value
  if (iss !== clientId || sub !== clientId) return bad('its iss and sub are not the client_id')
  const only: unknown = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  if (only !== issuer) return bad('its sole audience is not the issuer identifier')
  if (typeof jti !== 'string' || jti === '' || jti.length > maxJtiChars)
    return bad('it has no usable jti')
  const times = readTimes(claims.value, maxLifetimeSeconds + skewSeconds, nowMs)
  if (!times.ok) return bad(times.problem.detail ?? 'its times are not acceptable')
  const timely = checkTimes(times.value, { skewSeconds, minRemainingSeconds: 0 }, nowMs)
  if (!timely.ok) return bad(timely.problem.detail ?? 'its times are not acceptable')
  const id = createHash('sha256').update(`${clientId} ${jti}`).digest('base64url')
  const spent = await spendOnce('client-assertion', id, (times.value.exp + skewSeconds) * 1000)
  return spent.ok
    ? good(undefined)
    : { ok: false, fault: `its jti: ${spent.problem.tag}`, problem: spent.problem }
}
