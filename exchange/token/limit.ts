import type { Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'

/** Counts one question of a key. Refuses with `rate-exceeded`. */
export type TakeOne = (key: string) => Soon<Result<unknown>>

/** Counts one question, and says in the words of the endpoint if it is one too many. */
export const takeOne = (limit: TakeOne | undefined, key: string): Soon<OAuthResult<undefined>> =>
  limit === undefined ? grantedAs(undefined) : takeOneOf(limit, key)

const takeOneOf = async (limit: TakeOne, key: string): Promise<OAuthResult<undefined>> => {
  const taken = await limit(key)
  if (taken.ok) return grantedAs(undefined)
  const retryAfter = Number(taken.problem.headers?.['retry-after'] ?? 1)
  return oauthRefuse('temporarily_unavailable', taken.problem.tag, 'too many requests', {
    status: 429,
    retryAfterSeconds: retryAfter,
    cause: taken.problem.cause,
  })
}
