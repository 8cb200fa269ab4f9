import { createHash } from 'node:crypto'
import { causeText } from '#contract/cause'
import type { RandomBytes } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import type { Issuer } from '#config/schema'
import { bad, good, type Outcome } from '../outcome.ts'
import { platformForms } from '../platforms/profiles.ts'
import { acceptJwkSet, type KeySet, type VerificationKey } from './jwks.ts'
import type { KeySource } from './key-source.ts'

/** The newest good key set of one issuer. */
export type KeyRefresher = {
  /**
   * Fetches for the first time. Resolves when that was tried, whatever came of it, and rejects only for a `jwksFile`
   * that cannot be used, which the operator has to mend. Later calls do nothing.
   */
  readonly start: () => Promise<void>
  /** Fetches now, or joins the fetch that is under way. Never rejects. */
  readonly fetchNow: (reason: FetchReason) => Promise<void>
  readonly underWay: () => Promise<void> | undefined
  /** Of the newest good set. A key that did not change stays the same object. */
  readonly get: (kid: string) => VerificationKey | undefined
  /** Whether the last attempt went well: only then does a key that is not there not exist. */
  readonly isUpToDate: () => boolean
  /** Whether there are keys, and not older than the issuer's outage may last. */
  readonly usable: () => boolean
  readonly status: () => IssuerStatus
  readonly close: () => void
}

export type FetchReason = 'start' | 'scheduled' | 'unknown-kid' | 'bad-signature'

export type IssuerStatus = {
  readonly usable: boolean
  readonly kids: readonly string[]
  /** Why published keys are not used. */
  readonly ignored: readonly string[]
  /** Since the last good answer; undefined if there was none. */
  readonly ageSeconds: number | undefined
  /** Of the last attempt; undefined if that went well, or none was made. */
  readonly fault: string | undefined
}

export type IssuerKeysDeps = {
  readonly randomBytes: RandomBytes
  /** A clock that never goes back, in milliseconds. */
  readonly uptimeMs: () => number
  readonly meter: Meter
  readonly log: Log
}

const firstRetryMs = 1000
const longestRetryMs = 60_000
/** ± 10 %, so that many gateways do not ask at the same instant. */
const jitter = 0.1

/**
 * Keeps the keys of one issuer fresh in the background: every `refreshSeconds` ± 10 %, after a failure again after 1 s,
 * doubling to 60 s; one fetch at a time. A set that is empty, malformed or otherwise not acceptable never replaces a
 * good one. While the issuer is away its last keys are usable for `maxStaleSeconds` beyond the refresh that was missed.
 */
export const keyRefresher = (
  name: string,
  issuer: Issuer,
  source: KeySource,
  { randomBytes, uptimeMs, meter, log }: IssuerKeysDeps,
): KeyRefresher => {
  let set: KeySet | undefined
  let digest = ''
  let goodAtMs: number | undefined
  let fault: string | undefined
  let failures = 0
  let underWay: Promise<void> | undefined
  let started: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  let closed = false
  const asCertificates = platformForms[issuer.platform]?.keysAreCertificates ?? false
  const refreshMs = issuer.refreshSeconds * 1000
  const longestAgeMs = refreshMs * (1 + jitter) + issuer.maxStaleSeconds * 1000
  const showAge = meter.gauge('sallyport_issuer_keys_age_seconds', { issuer: name })

  const fetchNow = (reason: FetchReason): Promise<void> => {
    underWay ??= attempt(reason).finally(() => {
      underWay = undefined
      if (!closed) schedule()
    })
    return underWay
  }

  const attempt = async (reason: FetchReason): Promise<void> => {
    // What breaks here must not end the process: the keys from before stay.
    const loaded = await load(reason).catch((cause: unknown) => {
      log.error({ issuer: name, err: cause }, 'fetching the keys of an issuer broke')
      return bad(causeText(cause))
    })
    const result = !loaded.ok ? 'failed' : loaded.value === 'unchanged' ? 'unchanged' : 'ok'
    meter.counter('sallyport_issuer_fetches_total', { issuer: name, reason, result })()
    if (loaded.ok) succeeded(loaded.value)
    else failed(loaded.fault)
  }

  const load = async (reason: FetchReason): Promise<Outcome<KeySet | 'unchanged'>> => {
    const text = await source.load(reason === 'start' || reason === 'scheduled')
    if (!text.ok) return text
    const newDigest = createHash('sha256').update(text.value).digest('base64url')
    if (set && newDigest === digest) return good('unchanged')
    const accepted = await acceptJwkSet(text.value, issuer.algorithms, asCertificates)
    if (accepted.ok) digest = newDigest
    return accepted
  }

  const succeeded = (loaded: KeySet | 'unchanged') => {
    if (fault !== undefined) log.info({ issuer: name }, 'the issuer can be reached again')
    fault = undefined
    failures = 0
    goodAtMs = uptimeMs()
    showAge(0)
    if (loaded === 'unchanged') return
    const before = set?.keys
    set = { ...loaded, keys: keepingSameKeys(loaded.keys, before) }
    log.info(
      { issuer: name, kids: [...set.keys.keys()], ignored: set.ignored },
      before ? 'the issuer has changed its keys' : 'the keys of the issuer are here',
    )
  }

  const failed = (why: string) => {
    fault = why
    failures++
    const age = ageSeconds()
    if (age !== undefined) showAge(age)
    log.warn({ issuer: name, fault, ageSeconds: age }, 'the keys of the issuer cannot be had')
  }

  const schedule = () => {
    clearTimeout(timer)
    const plainMs =
      failures === 0
        ? refreshMs
        : Math.min(firstRetryMs * 2 ** Math.min(failures - 1, 10), longestRetryMs, refreshMs)
    const chance = randomBytes(4).readUInt32LE() / 2 ** 32
    const delayMs = plainMs * (1 - jitter + 2 * jitter * chance)
    timer = setTimeout(() => void fetchNow('scheduled'), delayMs)
    timer.unref()
  }

  const ageSeconds = () => (goodAtMs === undefined ? undefined : (uptimeMs() - goodAtMs) / 1000)
  const usable = () => goodAtMs !== undefined && uptimeMs() - goodAtMs <= longestAgeMs

  return {
    start: () => {
      started ??= fetchNow('start').then(() => {
        if (issuer.jwksFile !== undefined && fault !== undefined)
          throw new Error(`issuers.${name}.jwksFile cannot be used, mend it: ${fault}`)
      })
      return started
    },
    fetchNow,
    underWay: () => underWay,
    get: (kid) => set?.keys.get(kid),
    isUpToDate: () => set !== undefined && fault === undefined,
    usable,
    status: () => ({
      usable: usable(),
      kids: set ? [...set.keys.keys()] : [],
      ignored: set?.ignored ?? [],
      ageSeconds: ageSeconds(),
      fault,
    }),
    close: () => {
      closed = true
      clearTimeout(timer)
      source.close()
    },
  }
}

/** Tokens in the cache are bound to their key, so a key that is still there must not look like another one. */
const keepingSameKeys = (
  keys: ReadonlyMap<string, VerificationKey>,
  before: ReadonlyMap<string, VerificationKey> | undefined,
): ReadonlyMap<string, VerificationKey> => {
  const kept = new Map<string, VerificationKey>()
  for (const [kid, key] of keys) {
    const old = before?.get(kid)
    const isSame = old?.thumbprint === key.thumbprint && old.algorithm === key.algorithm
    kept.set(kid, isSame ? old : key)
  }
  return kept
}
