import { pass, type Refusal, type Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { Log, Meter } from '#contract/telemetry'
import { underWay } from '#contract/under-way'
import type { Issuer } from '#config/schema'
import { clockAhead } from '../jwt/clock-ahead.ts'
import { checkTimes } from '../jwt/times.ts'
import type { VerifiedToken } from '../jwt/verified-token.ts'
import type { IssuerStatus } from '../jwt/key-refresher.ts'
import { answerCache, keyOfToken } from './answer-cache.ts'
import type { askIssuer } from './ask-issuer.ts'
import { introspectionUnavailable, readIntrospection, type Introspected } from './read-answer.ts'

/** Checks tokens by asking their issuer. */
export type Introspector = {
  readonly verify: (token: string, nowMs: number) => Soon<Result<VerifiedToken>>
  readonly status: () => IssuerStatus & { readonly clockAheadSeconds: number | undefined }
  readonly close: () => void
}

export type IntrospectorDeps = {
  /** A clock that never goes back, in milliseconds. */
  readonly uptimeMs: () => number
  readonly meter: Meter
  readonly log: Log
}

/** After nobody answered, nobody is asked for so long: a dead issuer must not hold every request up. */
const restMs = 500

/**
 * Checks the tokens of one issuer by asking it, and takes it at its word for a while: `maxCacheSeconds`, never beyond the
 * `exp` of the token. Those who bring one token at once share one question. Tokens that are not good are remembered apart
 * and for shorter, so that garbage drives no good token out. When the issuer cannot be asked, its tokens that nobody
 * remembers are refused with `introspection-unavailable`; nobody else's are.
 *
 * @returns Its `verify` refuses with that, with `token-inactive`, or as a JWT with such claims would be.
 * @see RFC 7662
 */
export const introspector = (
  name: string,
  issuer: Issuer,
  asking: ReturnType<typeof askIssuer>,
  { uptimeMs, meter, log }: IntrospectorDeps,
): Introspector => {
  const { introspection } = issuer
  if (introspection === undefined) throw new TypeError(`issuer ${name} has no introspection`)
  const { maxCacheSeconds, negativeCacheSeconds, maxCached, maxInFlight } = introspection
  const good = answerCache<Introspected>(maxCached)
  const notGood = answerCache<Refusal>(maxCached)
  const asked = underWay<Result<Introspected>>()
  const count = {
    cached: meter.counter('sallyport_introspections_total', { issuer: name, result: 'cached' }),
    active: meter.counter('sallyport_introspections_total', { issuer: name, result: 'active' }),
    refused: meter.counter('sallyport_introspections_total', { issuer: name, result: 'refused' }),
    failed: meter.counter('sallyport_introspections_total', { issuer: name, result: 'failed' }),
  }
  const clock = clockAhead(name, meter)
  let restUntilMs = 0
  let goodAtMs: number | undefined
  let fault: string | undefined

  const failed = (why: string): Refusal => {
    count.failed()
    if (fault !== why) log.warn({ issuer: name, fault: why }, 'a token could not be introspected')
    fault = why
    return introspectionUnavailable(name, why)
  }

  const ask = async (token: string, key: string, nowMs: number): Promise<Result<Introspected>> => {
    const beganMs = uptimeMs()
    const answer = await asking.ask(token)
    // When the answer came; the request goes by the instant at which it began.
    const thenMs = nowMs + (uptimeMs() - beganMs)
    if (!answer.ok) {
      if (answer.away) restUntilMs = uptimeMs() + restMs
      return failed(answer.fault)
    }
    const read = readIntrospection(answer.value, token, name, issuer, thenMs)
    if (!read.ok && read.problem.tag === 'introspection-unavailable')
      return failed('its answer is not one of RFC 7662')
    fault = undefined
    goodAtMs = uptimeMs()
    if (read.ok) {
      count.active()
      if (read.value.times.iat !== undefined) clock.made(read.value.times.iat, thenMs)
      const untilMs = Math.min(thenMs + maxCacheSeconds * 1000, read.value.token.expiresAtMs)
      good.set(key, read.value, thenMs, untilMs)
    } else {
      count.refused()
      notGood.set(key, read, thenMs, thenMs + negativeCacheSeconds * 1000)
    }
    return read
  }

  const askOnce = (token: string, key: string, nowMs: number): Soon<Result<Introspected>> => {
    const already = asked.get(key)
    if (already) return already
    if (uptimeMs() < restUntilMs) return introspectionUnavailable(name, 'it was away a moment ago')
    if (asked.size() >= maxInFlight)
      return introspectionUnavailable(name, `${maxInFlight} questions are under way`)
    return asked.share(key, (answered) => ask(token, key, nowMs).finally(answered))
  }

  const timely =
    (nowMs: number) =>
    (read: Result<Introspected>): Result<VerifiedToken> => {
      if (!read.ok) return read
      const inTime = checkTimes(read.value.times, issuer, nowMs)
      return inTime.ok ? pass(read.value.token) : inTime
    }

  return {
    verify: (token, nowMs) => {
      const key = keyOfToken(token)
      const known = good.get(key, nowMs)
      const refusal = known ? undefined : notGood.get(key, nowMs)
      if (known || refusal) count.cached()
      const read = known ? pass(known) : (refusal ?? askOnce(token, key, nowMs))
      const judge = timely(nowMs)
      return read instanceof Promise ? read.then(judge) : judge(read)
    },
    status: () => ({
      usable: fault === undefined,
      kids: [],
      ignored: [],
      ageSeconds: goodAtMs === undefined ? undefined : Math.floor((uptimeMs() - goodAtMs) / 1000),
      fault,
      clockAheadSeconds: clock.seconds(),
    }),
    close: asking.close,
  }
}
