import type { Soon } from '#contract/step'
import type { Issuer } from '#config/schema'
import type { VerificationKey } from './jwks.ts'
import { keyRefresher, type IssuerKeysDeps, type KeyRefresher } from './key-refresher.ts'
import type { KeySource } from './key-source.ts'
import { refetchBudget, type RefetchBudget } from './refetch-budget.ts'

/** The keys of one issuer, as verifying needs them. */
export type IssuerKeys = Pick<KeyRefresher, 'start' | 'get' | 'usable' | 'status' | 'close'> & {
  /**
   * Looks for a key that is not known, or that a signature did not fit (`tried`), by asking the issuer once more.
   *
   * @returns `unknown` if the issuer has no other such key, `unavailable` if it could not be asked, or not in time.
   */
  readonly seek: (kid: string, tried?: VerificationKey) => Soon<VerificationKey | KeyAbsence>
}
export type KeyAbsence = 'unknown' | 'unavailable'

/** How long one request waits while the issuer is asked on its behalf. */
const longestWaitMs = 1000
/** Requests that may wait at a time, for one issuer. */
const maxWaiting = 1000

/**
 * The keys of one issuer. No request waits for a fetch, with one exception: a token whose `kid` is not known, or whose
 * signature does not fit the key of that name, waits up to 1 s for the issuer to be asked, so that a rotation without
 * notice loses no valid request. `refetch-budget.ts` bounds how often that happens.
 */
export const issuerKeys = (
  name: string,
  issuer: Issuer,
  source: KeySource,
  deps: IssuerKeysDeps,
): IssuerKeys => {
  const { uptimeMs } = deps
  const refresher = keyRefresher(name, issuer, source, deps)
  const budgets: Record<'unknown-kid' | 'bad-signature', RefetchBudget> = {
    'unknown-kid': refetchBudget(uptimeMs),
    'bad-signature': refetchBudget(uptimeMs),
  }
  let waiting = 0

  const verdict = (kid: string, tried: VerificationKey | undefined) => {
    const key = refresher.get(kid)
    if (key && key !== tried) return key
    return refresher.isUpToDate() ? 'unknown' : 'unavailable'
  }

  const askAgain = async (
    kid: string,
    tried: VerificationKey | undefined,
  ): Promise<VerificationKey | KeyAbsence> => {
    const reason = tried ? 'bad-signature' : 'unknown-kid'
    const untilMs = uptimeMs() + longestWaitMs
    const earlier = refresher.underWay()
    if (earlier) {
      if (!(await isSettledWithin(earlier, untilMs - uptimeMs()))) return 'unavailable'
      const key = verdict(kid, tried)
      if (typeof key !== 'string') return key
    }
    // What was under way may have been answered before the key was published, so the issuer is asked once more.
    if (refresher.underWay() || budgets[reason].allows(kid)) {
      if (!refresher.underWay()) budgets[reason].spend(kid)
      const fetched = refresher.fetchNow(reason)
      if (!(await isSettledWithin(fetched, untilMs - uptimeMs()))) return 'unavailable'
    }
    const key = verdict(kid, tried)
    if (typeof key !== 'string') budgets[reason].paidOff(kid)
    return key
  }

  return {
    start: refresher.start,
    get: refresher.get,
    usable: refresher.usable,
    status: refresher.status,
    close: refresher.close,
    seek: (kid, tried) => {
      const budget = budgets[tried ? 'bad-signature' : 'unknown-kid']
      if (!refresher.underWay() && !budget.allows(kid)) return verdict(kid, tried)
      if (waiting >= maxWaiting) return 'unavailable'
      waiting++
      return askAgain(kid, tried).finally(() => waiting--)
    },
  }
}

const isSettledWithin = async (work: Promise<void>, ms: number): Promise<boolean> => {
  let timer: NodeJS.Timeout | undefined
  const tooLate = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms)
  })
  try {
    return await Promise.race([work.then(() => true), tooLate])
  } finally {
    clearTimeout(timer)
  }
}
