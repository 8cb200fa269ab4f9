import { problems, type Problem, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Secret } from '#contract/secret'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'

/** Who the subject token is about: outside, and in the mesh. */
export type Subject = {
  readonly token: VerifiedToken
  readonly spiffeId: SpiffeId
  /** Name of the rule that gave it. */
  readonly rule: string
}

/** The shared mapping: issuer and claims → SPIFFE ID. */
export type MapIdentity = (
  token: VerifiedToken,
) => Result<{ readonly spiffeId: SpiffeId; readonly rule: string }>

export type VerifySubjectToken = (
  token: Secret<string>,
  nowMs: number,
) => Promise<OAuthResult<VerifiedToken>>

/**
 * Checks the subject token by the rules of its issuer.
 *
 * @returns Refuses with `invalid_request` (RFC 8693 §2.2.2), or `temporarily_unavailable` while the keys of its issuer
 *   cannot be had.
 */
export const verifySubjectToken =
  (verify: VerifyToken, issuers: ReadonlySet<string>): VerifySubjectToken =>
  async (token, nowMs) => {
    const verified = await verify(token.reveal(), issuers, nowMs)
    return verified.ok ? grantedAs(verified.value) : oauthRefusalOf(verified.problem)
  }

/** Gives the subject its SPIFFE ID. A caller whom no rule names is an unacceptable subject. */
export const identifySubject = (
  token: VerifiedToken,
  mapIdentity: MapIdentity,
): OAuthResult<Subject> => {
  const mapped = mapIdentity(token)
  return mapped.ok ? grantedAs({ token, ...mapped.value }) : oauthRefusalOf(mapped.problem)
}

const oauthRefusalOf = ({ tag, detail, cause }: Problem) => {
  const { status, title } = problems[tag]
  const why = cause ?? detail
  const more = why === undefined ? {} : { cause: why }
  if (status === 503)
    return oauthRefuse('temporarily_unavailable', tag, title, { ...more, retryAfterSeconds: 5 })
  if (status >= 500) return oauthRefuse('server_error', tag, title, more)
  return oauthRefuse('invalid_request', tag, `subject_token: ${title}`, more)
}
