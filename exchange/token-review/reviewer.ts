import { readFileSync } from 'node:fs'
import { admitted, refuse, type Refusal, type Result } from '#contract/problem'
import type { Log, Meter } from '#contract/telemetry'
import { underWay } from '#contract/under-way'
import type { ExchangeConfig, Issuer } from '#config/schema'
import { boundedFetch } from '#http/bounded-fetch'
import { answerCache } from '#identity/introspection/answer-cache'
import { refuseToken } from '#identity/jwt/challenge'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import { bad, type Outcome } from '#identity/outcome'
import { readTokenFile } from '#identity/token-file'
import { readReview, reviewOf, type Reviewed } from './read-review.ts'

/** Asks whether tokens of one issuer are still good. */
export type Reviewer = {
  readonly review: (token: string, verified: VerifiedToken, nowMs: number) => Promise<Result<void>>
  /** Why the last question was not answered; undefined if it was, or none was asked. */
  readonly fault: () => string | undefined
  readonly close: () => void
}

type ReviewerDeps = {
  /** A clock that never goes back, in milliseconds. */
  readonly uptimeMs: () => number
  readonly meter: Meter
  readonly log: Log
}

const maxAnswerBytes = 65_536
const maxCached = 10_000
/** Questions at a time. Beyond that nobody is held up by an API server that is slow. */
const maxUnderWay = 64
/** After nobody answered, nobody is asked for so long. */
const restMs = 500

/**
 * One issuer's API server. Those who bring one token at once share one question; its answer is remembered by what was
 * verified of the token, for `cacheSeconds`, good or not.
 *
 * @returns Its `review` refuses with `token-revoked` what the API server does not take, and with `issuer-unavailable`
 *   while it cannot be asked.
 * @throws Error for a `caFile` that cannot be read.
 */
export const tokenReviewer = (
  name: string,
  { audiences }: Issuer,
  options: ExchangeConfig['tokenReviews'][string],
  { uptimeMs, meter, log }: ReviewerDeps,
): Reviewer => {
  const { url, caFile, timeoutMs, cacheSeconds } = options
  const ca = caFile === undefined ? {} : { ca: readFileSync(caFile, 'utf8') }
  const fetcher = boundedFetch({ ...ca, timeoutMs, maxBodyBytes: maxAnswerBytes })
  const known = answerCache<Reviewed>(maxCached)
  const asking = underWay<Result<void>>()
  const count = (result: 'good' | 'refused' | 'failed' | 'cached') =>
    meter.counter('sallyport_token_reviews_total', { issuer: name, result })()
  let restUntilMs = 0
  let fault: string | undefined

  const failed = (why: string): Refusal => {
    count('failed')
    if (fault !== why) log.warn({ issuer: name, fault: why }, 'a token could not be reviewed')
    fault = why
    return unavailable(name, why)
  }

  const ask = async (token: string, verified: VerifiedToken): Promise<Outcome<Reviewed>> => {
    const own = await readTokenFile(options.tokenFile)
    if (!own.ok) return own
    const asked = verified.audiences.filter((audience) => audiences.includes(audience))
    const answer = await fetcher.ask(`${url}/apis/authentication.k8s.io/v1/tokenreviews`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${own.value}`,
        'content-type': 'application/json',
        accept: 'application/json',
      },
      body: reviewOf(token, asked),
    })
    if (!answer.ok) {
      restUntilMs = uptimeMs() + restMs
      return answer
    }
    if (answer.status !== 201) return bad(`status ${answer.status}${hintOf(answer.status)}`)
    return readReview(answer.body, verified, asked)
  }

  const judge = ({ why }: Reviewed): Result<void> =>
    why === undefined
      ? admitted
      : refuseToken('token-revoked', 'The token is not good any more', `TokenReview: ${why}`)

  const askOnce = async (token: string, verified: VerifiedToken, nowMs: number) => {
    const beganMs = uptimeMs()
    const reviewed = await ask(token, verified)
    if (!reviewed.ok) return failed(reviewed.fault)
    fault = undefined
    count(reviewed.value.why === undefined ? 'good' : 'refused')
    const thenMs = nowMs + (uptimeMs() - beganMs)
    if (cacheSeconds > 0)
      known.set(verified.fingerprint, reviewed.value, thenMs, thenMs + cacheSeconds * 1000)
    return judge(reviewed.value)
  }

  return {
    review: async (token, verified, nowMs) => {
      const key = verified.fingerprint
      const before = known.get(key, nowMs)
      if (before !== undefined) {
        count('cached')
        return judge(before)
      }
      const already = asking.get(key)
      if (already !== undefined) return already
      if (uptimeMs() < restUntilMs) return unavailable(name, 'the API server was away a moment ago')
      if (asking.size() >= maxUnderWay) return unavailable(name, 'too many questions are under way')
      return asking.share(key, (answered) => askOnce(token, verified, nowMs).finally(answered))
    },
    fault: () => fault,
    close: fetcher.close,
  }
}

/** The reviewers of the configuration, by the names of their issuers. */
export const tokenReviewers = (
  { issuers, tokenReviews }: ExchangeConfig,
  deps: ReviewerDeps,
): ReadonlyMap<string, Reviewer> =>
  new Map(
    Object.entries(tokenReviews).map(([name, options]) => {
      const issuer = issuers[name]
      if (issuer === undefined) throw new Error(`tokenReviews.${name}: there is no such issuer`)
      return [name, tokenReviewer(name, issuer, options, deps)]
    }),
  )

/** Checks tokens by their signature and, where their issuer has a reviewer, by asking that. */
export const alsoReviewed = (
  verify: VerifyToken,
  reviewers: ReadonlyMap<string, Reviewer>,
): VerifyToken =>
  reviewers.size === 0
    ? verify
    : async (token, accepted, nowMs) => {
        const verified = await verify(token, accepted, nowMs)
        const reviewer = verified.ok ? reviewers.get(verified.value.issuerName) : undefined
        if (!verified.ok || reviewer === undefined) return verified
        const reviewed = await reviewer.review(token, verified.value, nowMs)
        return reviewed.ok ? verified : reviewed
      }

const hintOf = (status: number): string => {
  if (status === 401) return ': our own token is not good'
  return status === 403 ? ': our account lacks the ClusterRole system:auth-delegator' : ''
}

const unavailable = (issuer: string, why: string): Refusal =>
  refuse('issuer-unavailable', {
    cause: `TokenReview of ${issuer}: ${why}`,
    headers: { 'Retry-After': '5' },
  })
