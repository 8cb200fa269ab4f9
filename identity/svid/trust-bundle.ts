import { causeText } from '#contract/cause'
import type { RandomBytes, Sleep } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import { bad, good, type Outcome } from '../outcome.ts'
import { acceptBundle, type Bundle } from './bundle.ts'
import { askExchange, type ExchangeAddress } from './exchange-connection.ts'
import { listeners } from './listeners.ts'

export type TrustBundleOptions = {
  readonly exchange: ExchangeAddress
  /** Configured, never taken from what is fetched. */
  readonly trustDomain: TrustDomain
  /** PEM roots that the exchange's certificate must come from. Asked before each fetch. */
  readonly roots: () => string
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/** The bundle of one trust domain, kept fresh. */
export type TrustBundle = {
  /** Undefined until it could be fetched for the first time. */
  readonly current: () => Bundle | undefined
  /** Fetches now, or joins the fetch that is under way. A fault leaves the last good bundle where it is. */
  readonly refresh: () => Promise<Outcome<Bundle>>
  /** Calls `listener` after each change; returns how to stop that. */
  readonly onChange: (listener: (bundle: Bundle) => void) => () => void
  readonly close: () => void
}

/** SPIFFE Federation §5: five minutes where the bundle gives no hint. */
const defaultRefreshSeconds = 300
const shortestRefreshSeconds = 5
const longestRefreshSeconds = 3600
const firstRetryMs = 1000
const longestRetryMs = 30_000

/**
 * Keeps the exchange's SPIFFE bundle (`GET /bundle`), asked for over TLS that is pinned to roots and SPIFFE ID, as often as
 * it hints. A bundle that is not acceptable, or whose sequence number is lower than that of the last one (an old copy
 * played back), never replaces a good one.
 */
export const trustBundle = (options: TrustBundleOptions): TrustBundle => {
  const { exchange, trustDomain, roots, sleep, randomBytes, log } = options
  const changed = listeners<Bundle>()
  const stop = new AbortController()
  let current: Bundle | undefined
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
    const answer = await askExchange(exchange, '/bundle', roots(), undefined)
    if (!answer.ok) return answer
    const newText = answer.value.toString('latin1')
    if (current && newText === text) return good(current)
    const bundle = await acceptBundle(answer.value, trustDomain)
    if (!bundle.ok) return bundle
    if (isOlder(bundle.value, current)) return bad('the sequence number of the bundle fell')
    text = newText
    current = bundle.value
    const { sequence, ignored } = current
    log.info({ trustDomain, sequence, ignored }, 'the trust bundle has changed')
    changed.tell(current)
    return bundle
  }

  const keepFresh = async () => {
    let failures = 0
    while (!stop.signal.aborted) {
      const bundle = await refresh()
      failures = bundle.ok ? 0 : failures + 1
      if (!bundle.ok) log.warn({ trustDomain, fault: bundle.fault }, 'no new trust bundle')
      const retryMs = Math.min(firstRetryMs * 2 ** Math.min(failures, 10), longestRetryMs)
      const plainMs = bundle.ok ? refreshMs(bundle.value) : retryMs
      const chance = randomBytes(4).readUInt32LE() / 2 ** 32
      await sleep(plainMs * (0.9 + 0.2 * chance), stop.signal)
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

/** One that has lost its number cannot be told from an old one either. */
const isOlder = ({ sequence }: Bundle, before: Bundle | undefined): boolean =>
  before?.sequence !== undefined && (sequence === undefined || sequence < before.sequence)

const refreshMs = (bundle: Bundle): number => {
  const hint = bundle.refreshHintSeconds ?? defaultRefreshSeconds
  return Math.min(Math.max(hint, shortestRefreshSeconds), longestRefreshSeconds) * 1000
}
