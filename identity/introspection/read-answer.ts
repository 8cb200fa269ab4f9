import { hash } from 'node:crypto'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { Issuer } from '#config/schema'
import { deepFreeze } from '#contract/deep-freeze'
import { isJsonObject, type JsonObject } from '../json-strict.ts'
import { quotable, refuseToken } from '../jwt/challenge.ts'
import { readStandardClaims } from '../jwt/claims.ts'
import { readTimes, type TokenTimes } from '../jwt/times.ts'
import type { VerifiedToken } from '../jwt/verified-token.ts'

/** A token that its issuer vouches for; its times are to be looked at with every request. */
export type Introspected = { readonly token: VerifiedToken; readonly times: TokenTimes }

/** What servers say of tokens that are no access tokens, where they say it: Keycloak, Ory Hydra, Cognito. */
const usesOfAccessTokens: readonly unknown[] = ['access_token', 'access']
const typesOfOthers: readonly unknown[] = ['Refresh', 'Offline', 'ID']

/**
 * Reads what an issuer says of a token, as strictly as if it were a JWT: `active` is `true` and nothing like it, `iss` if
 * it is there is that of the issuer, `sub`, `aud`, `exp`, `nbf`, `iat` and `cnf` are what they must be, and it is an access
 * token.
 *
 * @returns Refuses as a JWT with these claims would be, with `token-inactive`, and with `introspection-unavailable` for an
 *   answer that is none.
 * @see RFC 7662 §2.2
 */
export const readIntrospection = (
  said: JsonObject,
  token: string,
  issuerName: string,
  issuer: Issuer,
  nowMs: number,
): Result<Introspected> => {
  const { active, ...claims } = said
  if (active === false) return refuseToken('token-inactive', 'The token is not active')
  if (active !== true)
    return introspectionUnavailable(issuerName, 'its answer has no `active` in it')
  if (claims['iss'] !== undefined && claims['iss'] !== issuer.issuer)
    return refuseToken('token-issuer-unknown', 'The issuer of the token is not trusted here', {
      iss: typeof claims['iss'] === 'string' ? quotable(claims['iss']) : typeof claims['iss'],
    })
  const wrongType = faultOfType(claims, issuer)
  if (wrongType !== undefined)
    return refuseToken('token-type-refused', 'This kind of token is not accepted here', wrongType)
  const subject = subjectOf(claims, issuer)
  if (!subject.ok) return subject
  const standard = readStandardClaims(
    { ...claims, sub: subject.value, aud: audienceOf(claims, issuer) },
    issuer,
  )
  if (!standard.ok) return standard
  const times = readTimes(claims, issuer.maxLifetimeSeconds, nowMs)
  if (!times.ok) return times
  const fingerprint = hash('sha256', token, 'base64url')
  return pass({
    times: times.value,
    token: Object.freeze({
      issuerName,
      issuer: issuer.issuer,
      ...standard.value,
      // By something it must be possible to cut off one token.
      jti: standard.value.jti ?? fingerprint,
      claims: deepFreeze({ ...claims, sub: subject.value }),
      kid: '',
      issuedAtMs: times.value.iat === undefined ? undefined : times.value.iat * 1000,
      expiresAtMs: times.value.exp * 1000,
      fingerprint,
      comesAgain: true, // what is said of it is kept
    }),
  })
}

/** RFC 7662 §2.2: `token_type` is that of RFC 6749 §5.1. Active are also refresh tokens, which are no credentials here. */
const faultOfType = (claims: JsonObject, { introspection }: Issuer): string | undefined => {
  const { token_type: type, token_use: use, typ, cnf } = claims
  if (use !== undefined && !usesOfAccessTokens.includes(use)) return 'its token_use is another'
  if (typesOfOthers.includes(typ)) return `its typ is ${String(typ)}`
  if (type === undefined)
    return introspection?.mayOmit.includes('token_type') ? undefined : 'it has no token_type'
  if (typeof type !== 'string') return 'its token_type is no text'
  switch (type.toLowerCase()) {
    case 'bearer':
      return undefined
    case 'dpop':
      // RFC 9449 §6.2. Without the key it could not be told from a bearer token.
      return isJsonObject(cnf) && cnf['jkt'] !== undefined
        ? undefined
        : 'its token_type is DPoP, and its cnf names no key'
    default:
      return 'its token_type is neither Bearer nor DPoP'
  }
}

/** With `subject: client_id` both may be there, and then say the same (RFC 9068 §2.2). */
const subjectOf = (
  { sub, client_id: clientId }: JsonObject,
  { introspection }: Issuer,
): Result<unknown> => {
  if (introspection?.subject !== 'client_id') return pass(sub)
  if (sub !== undefined && sub !== clientId)
    return refuseToken('token-claim-invalid', 'The sub of the token is not its client_id')
  return pass(clientId)
}

/** That it answers us can be its word that the token is for us (RFC 7662 §4), where the configuration takes it for that. */
const audienceOf = ({ aud }: JsonObject, { introspection, audiences }: Issuer): unknown =>
  aud === undefined && introspection?.mayOmit.includes('aud') ? audiences[0] : aud

/** 503 and not 401: nothing is known to be wrong with the token, and a new one would not help. */
export const introspectionUnavailable = (issuer: string, fault: string): Refusal =>
  refuse('introspection-unavailable', {
    cause: { issuer, fault },
    headers: { 'Retry-After': '2' },
  })
