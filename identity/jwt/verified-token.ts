import type { Result } from '#contract/problem'
import type { Soon } from '#contract/step'

/** A token whose issuer, audience, type and times were checked, and its signature, or its issuer was asked about it. */
export type VerifiedToken = {
  /** The name that the configuration gives its issuer. */
  readonly issuerName: string
  /** Its `iss`. */
  readonly issuer: string
  readonly subject: string
  readonly audiences: readonly string[]
  /** Frozen; no `__proto__`, no duplicate members. */
  readonly claims: Readonly<Record<string, unknown>>
  /** '' for one that its issuer was asked about: no key of its was looked at. */
  readonly kid: string
  readonly jti: string | undefined
  readonly issuedAtMs: number | undefined
  readonly expiresAtMs: number
  /** SHA-256 of its signing input, base64url, 43 characters: the same for every spelling of one signature. Of the whole token
   * where its issuer was asked. */
  readonly fingerprint: string
  /**
   * Whether it was shown before, and this very object is what will be given for it from now on: what is made of it may be
   * kept by the object (`oncePerToken`). Many tokens are shown but once, and what is kept of those is work for nothing.
   */
  readonly comesAgain: boolean
}

/**
 * Checks a bearer token.
 *
 * @param token As it was sent, without `Bearer `.
 * @param accepted Names of the issuers that may have issued it.
 * @param nowMs Read once per request, so that every check of one request sees the same instant.
 * @returns Refuses with one of the `token-…` problems, `issuer-unavailable` or `introspection-unavailable`.
 */
export type VerifyToken = (
  token: string,
  accepted: ReadonlySet<string>,
  nowMs: number,
) => Soon<Result<VerifiedToken>>
