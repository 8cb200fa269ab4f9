import { causeText } from '#contract/cause'
import type { RandomBytes, Sleep } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import { bad, good, type Outcome } from '../outcome.ts'
import { acceptBundle, type Bundle } from './bundle.ts'
import { listeners } from './listeners.ts'

/** The bundle of one trust domain, kept fresh. */
export type TrustBundle = {
  /** Undefined until it could be had for the first time. */
  readonly current: () => Bundle | undefined
  /** Fetches now, or joins the fetch that is under way. A fault leaves the last good bundle where it is. */
  readonly refresh: () => Promise<Outcome<Bundle>>
  /** Calls `listener` after each change; returns how to stop that. */
  readonly onChange: (listener: (bundle: Bundle) => void) => () => void
  readonly close: () => void
}

export type FollowBundleOptions = {
  /** Configured, never taken from what is fetched. */
  readonly trustDomain: TrustDomain
  /** Gets the document, from whoever proved to be the one to ask. */
  readonly fetch: () => Promise<Outcome<Buffer>>
  /** What is known from before; a fault of it is no bundle. */
  readonly first?: Bundle | undefined
  /** Told of each document before it is used, and never twice of the same. */
  readonly keep?: (document: Buffer, bundle: Bundle) => Promise<void>
  /** Told how each fetch went; `refused` is what came and is not acceptable. */
  readonly fetched?: (result: 'ok' | 'failed' | 'refused') => void
  /** After a failure, once it was fetched: soon, or at the next poll as SPIFFE Federation §5.3 has it. */
  readonly afterFailure: 'soon' | 'next-poll'
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/** SPIFFE Federation §5: five minutes where the bundle gives no hint. */
const defaultRefreshSeconds = 300
const shortestRefreshSeconds = 5
const longestRefreshSeconds = 3600
const firstRetryMs = 1000
const longestRetryMs = 30_000

/**
 * Keeps a SPIFFE bundle fresh, as often as it hints, ± 10 %. What is not acceptable never replaces a good one: what is no
 * bundle, has no usable key or roots of another trust domain; whose number is lower than that of the last one (an old copy
 * played back), or the same for other keys.
 */
export const followBundle = (options: FollowBundleOptions): TrustBundle => {
  const { trustDomain, sleep, randomBytes, log, fetched = () => {} } = options
  const changed = listeners<Bundle>()
  const stop = new AbortController()
  let current = options.first
  let text = ''
  let underWay: Promise<Outcome<Bundle>> | undefined

  const refresh = () => {
    underWay ??= fetchBundle()
      .catch((cause: unknown) => {
        log.error({ err: cause }, 'fetching the trust bundle broke')
        return bad(causeText(cause))
      })
      .finally(() => {
        underWay = undefined
      })
    return underWay
  }

  const fetchBundle = async (): Promise<Outcome<Bundle>> => {
    const answer = await options.fetch()
    if (!answer.ok) {
      fetched('failed')
      return answer
    }
    const newText = answer.value.toString('latin1')
    if (current && newText === text) {
      fetched('ok')
      return good(current)
    }
    const bundle = await acceptBundle(answer.value, trustDomain)
    const why = bundle.ok ? whyNot(bundle.value, current) : bundle.fault
    if (!bundle.ok || why !== undefined) {
      fetched('refused')
      return bad(why ?? '')
    }
    const isOther = current === undefined || contentOf(current) !== contentOf(bundle.value)
    await options.keep?.(answer.value, bundle.value)
    text = newText
    current = bundle.value
    fetched('ok')
    const { sequence, ignored } = current
    if (isOther) log.info({ trustDomain, sequence, ignored }, 'the trust bundle has changed')
    if (isOther) changed.tell(current)
    return bundle
  }

  const waitMs = (bundle: Outcome<Bundle>, failures: number): number => {
    if (bundle.ok) return refreshMs(bundle.value)
    return current && text !== '' && options.afterFailure === 'next-poll'
      ? refreshMs(current)
      : Math.min(firstRetryMs * 2 ** Math.min(failures, 10), longestRetryMs)
  }

  const keepFresh = async () => {
    let failures = 0
    while (!stop.signal.aborted) {
      const bundle = await refresh()
      failures = bundle.ok ? 0 : failures + 1
      if (!bundle.ok) log.warn({ trustDomain, fault: bundle.fault }, 'no new trust bundle')
      const chance = randomBytes(4).readUInt32LE() / 2 ** 32
      await sleep(waitMs(bundle, failures) * (0.9 + 0.2 * chance), stop.signal)
    }
  }
  void keepFresh()

  return {
    current: () => current,
    refresh,
    onChange: changed.add,
    close: () => stop.abort(),
  }
}

const whyNot = (bundle: Bundle, before: Bundle | undefined): string | undefined => {
  if (bundle.foreignRoots > 0) return 'the bundle has roots of another trust domain'
  if (before?.sequence === undefined) return undefined
  // One that has lost its number cannot be told from an old one either.
  if (bundle.sequence === undefined || bundle.sequence < before.sequence)
    return `the sequence number of the bundle fell, from ${before.sequence} to ${bundle.sequence ?? 'none'}`
  return bundle.sequence === before.sequence && contentOf(bundle) !== contentOf(before)
    ? `the bundle is another one of the same sequence number ${before.sequence}`
    : undefined
}

/** All that is in it, whatever its order. */
const contentOf = ({ authorities: { roots, intermediates }, jwtKeys }: Bundle): string =>
  [
    ...roots.map(({ fingerprint256 }) => `root ${fingerprint256}`),
    ...intermediates.map(({ fingerprint256 }) => `intermediate ${fingerprint256}`),
    ...[...jwtKeys.values()].map(({ kid, thumbprint }) => `key ${kid} ${thumbprint}`),
  ]
    .sort()
    .join('\n')

const refreshMs = (bundle: Bundle): number => {
  const hint = bundle.refreshHintSeconds ?? defaultRefreshSeconds
  return Math.min(Math.max(hint, shortestRefreshSeconds), longestRefreshSeconds) * 1000
}
