import { hash } from 'node:crypto'
import type { TokenTimes } from './times.ts'
import type { TrustedIssuer } from './issuers.ts'
import type { VerificationKey } from './jwks.ts'
import type { VerifiedToken } from './verified-token.ts'

/** A token that passed every check, with what the checks that must be repeated need. */
export type CachedToken = {
  token: VerifiedToken
  readonly times: TokenTimes
  readonly issuer: TrustedIssuer
  /** Whose signature it was. */
  readonly key: VerificationKey
}

export type TokenCache = {
  /**
   * @param key Of `tokenKey`, made once for both.
   * @param chars Length of the token.
   */
  readonly get: (key: string, chars: number) => CachedToken | undefined
  readonly set: (key: string, chars: number, verified: CachedToken) => void
}

/** Counted for each token that may be kept: a cache of short tokens holds that many, one of long tokens fewer. */
const charsPerToken = 2048

/**
 * Remembers verified tokens, so that a signature is checked once and not with every request.
 *
 * The key is the SHA-256 of the whole token, signature included: a hit means that these very bytes were verified before.
 * Another spelling or another signature of the same claims is a miss and is verified like any token. (The mint cache and
 * the replay store, which must treat all spellings as one, use the hash of the signing input, after this.) The hash also
 * keeps tokens themselves out of long-lived memory.
 *
 * Two generations instead of least-recently-used: a full one becomes the old one, what is used again moves over, the
 * rest is forgotten with it. A `Map` with a delete and an insert a request would ruin the young generation of V8.
 *
 * @param maxTokens Tokens kept, both generations together; fewer if they are longer than 2048 characters on average.
 */
export const tokenCache = (maxTokens: number): TokenCache => {
  const maxOfOne = Math.max(1, Math.floor(maxTokens / 2))
  const maxChars = maxOfOne * charsPerToken
  let young = new Map<string, CachedToken>()
  let old = new Map<string, CachedToken>()
  let charsOfYoung = 0
  const keep = (key: string, chars: number, verified: CachedToken) => {
    if (young.size >= maxOfOne || charsOfYoung + chars > maxChars) {
      old = young
      young = new Map()
      charsOfYoung = 0
    }
    young.set(key, verified)
    charsOfYoung += chars
  }
  return {
    get: (key, chars) => {
      const found = young.get(key)
      if (found) return found
      const older = old.get(key)
      if (older) keep(key, chars, older)
      return older
    },
    set: keep,
  }
}

/** What a token is remembered by. */
export const tokenKey = (token: string): string => hash('sha256', token, 'base64url')
