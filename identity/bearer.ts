import { refuse, type Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import { isJsonObject } from './json-strict.ts'
import { refuseToken } from './jwt/challenge.ts'
import type { TrustedIssuers } from './jwt/issuers.ts'
import { maxTokenChars, parseClaims, splitJws } from './jwt/strict-parse.ts'
import type { VerifiedToken, VerifyToken } from './jwt/verified-token.ts'

/** RFC 6750 §2.1. */
const bearerShape = /^[A-Za-z0-9\-._~+/]+=*$/
const jwtShape = /^[^.]+\.[^.]+\.[^.]+$/

/**
 * Checks bearer tokens of all issuers: JWTs by the keys of who they say issued them, and all others, as well as JWTs of
 * issuers with `introspection`, by asking the one issuer of those accepted that has it. A token is never shown to another
 * than its own issuer, so where two that introspect are accepted at once, an opaque token is refused.
 *
 * @param verifyJwt The check by keys, `tokenVerifier`.
 */
export const bearerVerifier = (
  {
    introspecting,
    introspectingByIss,
  }: Pick<TrustedIssuers, 'introspecting' | 'introspectingByIss'>,
  verifyJwt: VerifyToken,
): VerifyToken => {
  if (introspecting.size === 0) return verifyJwt
  return (token, accepted, nowMs): Soon<Result<VerifiedToken>> => {
    if (jwtShape.test(token)) {
      const name = introspectingByIss.get(issOf(token) ?? '')
      const issuer = name !== undefined && accepted.has(name) ? introspecting.get(name) : undefined
      return issuer ? issuer.verify(token, nowMs) : verifyJwt(token, accepted, nowMs)
    }
    const [name, ...more] = [...accepted].filter((one) => introspecting.has(one))
    const issuer = name === undefined ? undefined : introspecting.get(name)
    if (!issuer) return verifyJwt(token, accepted, nowMs)
    if (token.length > maxTokenChars || !bearerShape.test(token))
      return refuseToken('token-malformed', 'The token is malformed: it is not a bearer token')
    if (more.length > 0)
      return refuse('token-issuer-unknown', {
        detail: 'The token does not say who issued it.',
        cause: `${[name, ...more].join(', ')} are accepted here, and an opaque token is shown to one alone`,
        headers: { 'WWW-Authenticate': 'Bearer error="invalid_token"' },
      })
    return issuer.verify(token, nowMs)
  }
}

/** As the token says, unverified: it decides only who is asked. */
const issOf = (token: string): string | undefined => {
  const jws = splitJws(token)
  const claims = jws.ok ? parseClaims(jws.value) : jws
  if (!claims.ok || !isJsonObject(claims.value)) return undefined
  const { iss } = claims.value
  return typeof iss === 'string' ? iss : undefined
}
