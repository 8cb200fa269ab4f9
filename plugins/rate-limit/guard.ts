import { pass, refuse, type Result } from '#contract/problem'
import type { Quota } from '#contract/quota'
import type { Step } from '#contract/step'
import type { LabelsOf, Meter } from '#contract/telemetry'
import type { Bucket, Spent } from './bucket.ts'
import { quotaHeaders } from './quota.ts'

type Labels = LabelsOf<'sallyport_limit_decisions_total'>

export type RateLimitParts<Needs> = {
  readonly bucket: Bucket
  /** Which limit it is, for metrics, records and headers. */
  readonly limit: Quota['name']
  /** In `report` mode all are admitted; who is over the limit is marked. */
  readonly mode: Quota['mode']
  /** Who counts: `addressKey` of the peer, a caller's SPIFFE ID, a route's id. */
  readonly key: (request: Readonly<Needs>) => string
  readonly meter: Meter
}

/**
 * Counts a request against a limit.
 *
 * @returns A step that learns what is left. It refuses with `rate-exceeded`, `Retry-After` and the `RateLimit` headers;
 *   those for an admitted request come from `quotaHeaders`.
 */
export const rateLimit = <Needs>({
  bucket,
  limit,
  mode,
  key,
  meter,
}: RateLimitParts<Needs>): Step<Needs, Quota> => {
  // Each of 10,000 routes may have a limit: what counts is asked for when the first request comes.
  let counters: ReturnType<typeof decisionCounters> | undefined
  const { name, points, windowSeconds } = bucket.limit

  const judge = (spent: Spent): Result<Quota> => {
    const count = (counters ??= decisionCounters(meter, limit))
    const resetSeconds = Math.max(1, Math.ceil(spent.resetMs / 1000))
    const quota = {
      name: limit,
      mode,
      limit: points,
      windowSeconds,
      remaining: spent.remaining,
      resetSeconds,
    }
    if (spent.admitted) {
      count.admitted[spent.store]()
      return pass(quota)
    }
    if (mode === 'report') {
      count['would-refuse'][spent.store]()
      return pass({ ...quota, reportOnly: true })
    }
    count.refused[spent.store]()
    return refuse('rate-exceeded', {
      cause: `${name}: more than ${points} in ${windowSeconds} s, counted by ${spent.store}`,
      headers: { 'retry-after': String(resetSeconds), ...fieldsOf(quotaHeaders([quota])) },
    })
  }

  return (request) => {
    const spent = bucket.take(key(request))
    return spent instanceof Promise ? spent.then(judge) : judge(spent)
  }
}

const fieldsOf = (list: readonly string[]): Readonly<Record<string, string>> => {
  const fields: Record<string, string> = {}
  for (let i = 0; i + 1 < list.length; i += 2) fields[list[i] as string] = list[i + 1] as string
  return fields
}

/** Asked for once: one limit has nine sets of labels. */
const decisionCounters = (meter: Meter, limit: Labels['limit']) => {
  const of = (decision: Labels['decision']) => {
    const counter = (store: Labels['store']) =>
      meter.counter('sallyport_limit_decisions_total', { limit, decision, store })
    return { memory: counter('memory'), redis: counter('redis'), fallback: counter('fallback') }
  }
  return {
    admitted: of('admitted'),
    refused: of('refused'),
    'would-refuse': of('would-refuse'),
  } satisfies Record<Labels['decision'], unknown>
}
