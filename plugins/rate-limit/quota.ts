import type { Quota, QuotaHeaders } from '#contract/quota'

/**
 * What an answer says of the limits that its request counted against. `RateLimit-Policy` and `RateLimit` name every
 * limit; the older three tell of the one that is nearest to its end. A limit in report mode is not spoken of.
 *
 * @see draft-ietf-httpapi-ratelimit-headers-10 §3 and §4; the older three are those of its revision 06
 */
export const quotaHeaders: QuotaHeaders = (quotas) => {
  let policies = ''
  let states = ''
  let nearest: Quota | undefined
  for (const quota of quotas) {
    if (quota === undefined || quota.mode === 'report') continue
    const comma = nearest === undefined ? '' : ', '
    policies += `${comma}"${quota.name}";q=${quota.limit};w=${quota.windowSeconds}`
    states += `${comma}"${quota.name}";r=${quota.remaining};t=${quota.resetSeconds}`
    if (nearest === undefined || quota.remaining < nearest.remaining) nearest = quota
  }
  if (nearest === undefined) return none
  return [
    'ratelimit-policy',
    policies,
    'ratelimit',
    states,
    'ratelimit-limit',
    String(nearest.limit),
    'ratelimit-remaining',
    String(nearest.remaining),
    'ratelimit-reset',
    String(nearest.resetSeconds),
  ]
}

const none: readonly string[] = Object.freeze([])
