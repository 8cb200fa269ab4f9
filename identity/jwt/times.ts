import { pass, type Result } from '#contract/problem'
import type { Issuer } from '#config/schema'
import { refuseToken } from './challenge.ts'
import type { JsonObject } from '../json-strict.ts'

/** The times of a token in seconds since 1970, each a safe integer. */
export type TokenTimes = {
  readonly exp: number
  readonly nbf: number | undefined
  readonly iat: number | undefined
}

type TimeOptions = Pick<Issuer, 'skewSeconds' | 'minRemainingSeconds'>

/**
 * Reads `exp`, `nbf` and `iat`. A float, a negative or a huge number is no time: jose takes `1e999` for never.
 *
 * @returns Refuses with `token-claim-missing` without `exp`, with `token-claim-invalid`, or with
 *   `token-lifetime-too-long`. Without `iat` a token counts as issued now.
 * @see RFC 7519 §4.1.4 to §4.1.6
 */
export const readTimes = (
  { exp, nbf, iat }: JsonObject,
  maxLifetimeSeconds: number,
  nowMs: number,
): Result<TokenTimes> => {
  if (exp === undefined) return refuseToken('token-claim-missing', 'The token has no exp')
  if (!isTime(exp)) return invalid('exp')
  if (nbf !== undefined && !isTime(nbf)) return invalid('nbf')
  if (iat !== undefined && !isTime(iat)) return invalid('iat')
  if (iat !== undefined && exp <= iat)
    return refuseToken('token-claim-invalid', 'The token expires before it was issued')
  if (exp - (iat ?? nowMs / 1000) > maxLifetimeSeconds)
    return refuseToken('token-lifetime-too-long', 'The token lives longer than is accepted here')
  return pass({ exp, nbf, iat })
}

/**
 * Whether a token is good at this instant. Looked at with every request, also for a token that is in the cache.
 *
 * The skew is granted to `nbf` and `iat`. To `exp` it is granted only if no remaining life is asked for, since what is
 * minted from a token must not outlive it, and so a token beyond its `exp` is of no use.
 *
 * @returns Refuses with `token-expired`, `token-not-yet-valid` or `token-expires-too-soon`.
 */
export const checkTimes = (
  { exp, nbf, iat }: TokenTimes,
  { skewSeconds, minRemainingSeconds }: TimeOptions,
  nowMs: number,
): Result<void> => {
  const now = nowMs / 1000
  if (now >= exp + (minRemainingSeconds > 0 ? 0 : skewSeconds))
    return refuseToken('token-expired', `The token expired ${shownSeconds(now - exp)} s ago`)
  const aheadSeconds = Math.max(nbf ?? 0, iat ?? 0) - now
  if (aheadSeconds > skewSeconds)
    return refuseToken(
      'token-not-yet-valid',
      `The token is valid in ${shownSeconds(aheadSeconds)} s by the clock here, and ${skewSeconds} s are let pass`,
    )
  if (minRemainingSeconds > 0 && exp - now < minRemainingSeconds)
    return refuseToken('token-expires-too-soon', 'The token has too little life left to be used')
  return pass(undefined)
}

const shownSeconds = (seconds: number): number => Math.ceil(seconds)

const isTime = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0

const invalid = (claim: string) =>
  refuseToken('token-claim-invalid', `The ${claim} of the token is not a time`)
