import { problems, type Problem, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Secret } from '#contract/secret'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import type { OwnTokenKind, VerifyOwnToken } from './own-token.ts'

/** Whom a token is about: outside, and in the mesh. */
export type Party = {
  readonly token: VerifiedToken
  readonly spiffeId: SpiffeId
  /** Name of the rule that gave it; undefined for a token of ours, which says it itself. */
  readonly rule: string | undefined
  /** Of all rules as they were then. */
  readonly revision?: string
  /** What kind of token of ours it is; undefined for one from outside. */
  readonly own: OwnTokenKind | undefined
}

/** The shared mapping: issuer and claims → SPIFFE ID. */
export type MapIdentity = (
  token: VerifiedToken,
) => Result<{ readonly spiffeId: SpiffeId; readonly rule: string; readonly revision?: string }>

/** A token that was checked, and not yet mapped. */
export type CheckedToken = {
  readonly token: VerifiedToken
  readonly own: { readonly kind: OwnTokenKind; readonly spiffeId: SpiffeId } | undefined
}

export type CheckToken = (
  token: Secret<string>,
  role: 'subject_token' | 'actor_token',
  nowMs: number,
  /** The `iss` that it must have: of an opaque token nothing else says whom to ask about it. */
  issuer?: string,
) => Promise<OAuthResult<CheckedToken>>

/**
 * Checks a token by the rules of its issuer: ours, or one of those that are trusted.
 *
 * @returns Refuses with `invalid_request` (RFC 8693 §2.2.2), or `temporarily_unavailable` while the keys of its issuer
 *   cannot be had.
 */
export const checkToken =
  (
    verify: VerifyToken,
    issuers: ReadonlySet<string>,
    verifyOwn: VerifyOwnToken,
    /** Names of issuers by `iss`. */
    nameOf: ReadonlyMap<string, string> = new Map(),
  ): CheckToken =>
  async (secret, role, nowMs, issuer) => {
    const text = secret.reveal()
    const named = issuer === undefined ? undefined : nameOf.get(issuer)
    if (issuer !== undefined && named === undefined)
      return oauthRefuse(
        'invalid_request',
        'token-issuer-unknown',
        'subject_issuer: this issuer is not trusted here',
      )
    const own = named === undefined ? verifyOwn(text, nowMs) : undefined
    if (own !== undefined) {
      if (!own.ok) return oauthRefusalOf(own.problem, role)
      const { token, kind, spiffeId } = own.value
      return grantedAs({ token, own: { kind, spiffeId } })
    }
    const verified = await verify(text, named === undefined ? issuers : new Set([named]), nowMs)
    return verified.ok
      ? grantedAs({ token: verified.value, own: undefined })
      : oauthRefusalOf(verified.problem, role)
  }

/** Gives whom a token is about its SPIFFE ID. One whom no rule names is not acceptable. */
export const identifyParty = (
  { token, own }: CheckedToken,
  mapIdentity: MapIdentity,
  role: 'subject_token' | 'actor_token',
): OAuthResult<Party> => {
  if (own !== undefined)
    return grantedAs({ token, spiffeId: own.spiffeId, rule: undefined, own: own.kind })
  const mapped = mapIdentity(token)
  return mapped.ok
    ? grantedAs({ token, ...mapped.value, own: undefined })
    : oauthRefusalOf(mapped.problem, role)
}

/** A refusal of another part in the words of the token endpoint. */
export const oauthRefusalOf = ({ tag, detail, cause }: Problem, role: string) => {
  const { status, title } = problems[tag]
  const why = cause ?? detail
  const more = why === undefined ? {} : { cause: why }
  if (status === 503)
    return oauthRefuse('temporarily_unavailable', tag, title, { ...more, retryAfterSeconds: 5 })
  if (status >= 500) return oauthRefuse('server_error', tag, title, more)
  // How far off a time is tells whose clock to look at; what else is wrong with a token is for the record.
  const said = isAboutTime(tag) && detail !== undefined ? detail : title
  return oauthRefuse('invalid_request', tag, `${role}: ${said}`, more)
}

const isAboutTime = (tag: Problem['tag']): boolean =>
  tag === 'token-expired' || tag === 'token-not-yet-valid'
