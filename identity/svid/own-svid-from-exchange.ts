import { readFile } from 'node:fs/promises'
import { causeText } from '#contract/cause'
import type { Clock, RandomBytes, Sleep } from '#contract/clock'
import { secret, type Secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log, Meter } from '#contract/telemetry'
import { bad, good, type Outcome } from '../outcome.ts'
import { keepSvid, keptSvid } from './kept-svid.ts'
import { readRoots, type ExchangeAddress } from './exchange-connection.ts'
import { listeners } from './listeners.ts'
import { requestSvid } from './request-svid.ts'
import type { OwnSvid, Svid } from './svid.ts'

export type OwnSvidFromExchangeOptions = {
  readonly exchange: ExchangeAddress
  /** PEM roots for the first connection, before there is a bundle. */
  readonly caFile: string
  /** Holds a join token, which is spent at its first use. */
  readonly joinTokenFile?: string | undefined
  /** Instead of that: holds the token of a platform, which the platform replaces before it ends. */
  readonly tokenFile?: string | undefined
  /** Where it is kept with its key, so that a restart needs no new join token. */
  readonly svidFile?: string | undefined
  /** Who we are. */
  readonly spiffeId: SpiffeId
  readonly clock: Clock
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly meter: Meter
  readonly log: Log
}

const firstRetryMs = 1000
const longestRetryMs = 30_000
/** The clock is looked at this often at least, so that a machine that slept or was set right does not renew too late. */
const longestSleepMs = 60_000
/** Between two renewals, also for a certificate that is past its half already when it comes, as our clock has it. */
const shortestRenewalMs = 5000
const joinTokenShape = /^[!-~]{16,1024}$/
const platformTokenShape = /^[\w-]+\.[\w-]+\.[\w-]+$/

/**
 * The own X.509-SVID from the exchange: the first by join token over TLS that is pinned to `caFile` and the exchange's
 * SPIFFE ID, later ones over mTLS with the last, at half of its life ± 10 %. After a failure again after 1 s, doubling to
 * 30 s. The last good one is kept until the end of its life. While renewing fails, and after the end, a new join token in
 * the same file is taken: an exchange that has begun anew, with other roots, writes one.
 *
 * With an `svidFile` a start goes on with what is kept there: it is renewed over mTLS at once, so no join token is spent, and
 * while the exchange is away it is used as it is.
 *
 * With a platform's token every one is asked for by that, so that who may no longer have it gets no other; with the last one
 * only while the exchange cannot check such tokens.
 *
 * @param signal Ends the waiting for the first SVID.
 * @returns Resolves with the first SVID, however long the exchange takes to come up; rejects if `signal` aborts.
 */
export const ownSvidFromExchange = async (
  options: OwnSvidFromExchangeOptions,
  signal?: AbortSignal,
): Promise<OwnSvid> => {
  const { exchange, clock, sleep, randomBytes, log, spiffeId } = options
  const showEnd = options.meter.gauge('sallyport_certificate_not_after_timestamp_seconds', {
    role: 'svid',
  })
  const jittered = (ms: number) => ms * (0.9 + (0.2 * randomBytes(4).readUInt32LE()) / 2 ** 32)
  const retryMs = (failures: number) =>
    jittered(Math.min(firstRetryMs * 2 ** Math.min(failures, 10), longestRetryMs))

  let spent: Secret<string> | undefined
  const join = async (): Promise<Outcome<Svid>> => {
    const roots = await readRoots(options.caFile)
    if (!roots.ok) return bad(`caFile: ${roots.fault}`)
    const token = await readToken(options.joinTokenFile ?? '', joinTokenShape, 'a join token')
    if (!token.ok) return bad(`joinTokenFile: ${token.fault}`)
    if (token.value.reveal() === spent?.reveal()) return bad('joinTokenFile: its token is spent')
    const proof = { kind: 'join-token', token: token.value, roots: roots.value } as const
    const svid = await requestSvid(exchange, spiffeId, proof, clock())
    if (svid.ok) spent = token.value
    return svid
  }

  const byPlatform = async (file: string, known: string): Promise<Outcome<Svid>> => {
    const roots = await readRoots(options.caFile)
    if (!roots.ok && known === '') return bad(`caFile: ${roots.fault}`)
    const token = await readToken(file, platformTokenShape, 'a JWT')
    if (!token.ok) return bad(`tokenFile: ${token.fault}`)
    // Of the bundle, where new roots come first, and of the file, where an exchange that began anew leaves its own.
    const trusted = known + (roots.ok ? roots.value : '')
    const proof = { kind: 'platform-token', token: token.value, roots: trusted } as const
    return requestSvid(exchange, spiffeId, proof, clock())
  }
  const { tokenFile } = options
  const ask = (known = ''): Promise<Outcome<Svid>> =>
    tokenFile === undefined ? join() : byPlatform(tokenFile, known)

  const keep = async (svid: Svid): Promise<void> => {
    if (options.svidFile === undefined) return
    await keepSvid(options.svidFile, svid).catch((cause: unknown) =>
      log.warn(
        { file: options.svidFile, cause: causeText(cause) },
        'the own SVID could not be kept: a restart will need a new join token',
      ),
    )
  }

  /** Undefined where nothing of use is kept. */
  const goOn = async (): Promise<Svid | undefined> => {
    if (options.svidFile === undefined) return undefined
    const kept = await keptSvid(options.svidFile, spiffeId, clock())
    if (!kept.ok) {
      log.info({ file: options.svidFile, fault: kept.fault }, 'no SVID is kept')
      return undefined
    }
    const proof = { kind: 'svid', svid: kept.value } as const
    const renewed = await requestSvid(exchange, spiffeId, proof, clock())
    if (renewed.ok) return renewed.value
    // An exchange that has begun anew does not know it any more, and has left a new token.
    const joined = await ask(kept.value.bundle)
    if (joined.ok) return joined.value
    const faults = { fault: renewed.fault, otherFault: joined.fault }
    log.warn({ spiffeId, ...faults }, 'the SVID that was kept is used until it can be renewed')
    return kept.value
  }

  const first = async (): Promise<Svid> => {
    // `sleep` keeps no process alive, and there may be nothing else yet that does.
    const alive = setInterval(() => {}, longestSleepMs)
    try {
      for (let failures = 0; ; failures++) {
        const svid = await ask()
        if (svid.ok) return svid.value
        log.warn({ spiffeId, fault: svid.fault }, 'no first SVID from the exchange yet')
        await sleep(retryMs(failures), signal)
        if (signal?.aborted) throw new Error(`no SVID from ${exchange.url}: ${svid.fault}`)
      }
    } finally {
      clearInterval(alive)
    }
  }

  let current = (await goOn()) ?? (await first())
  await keep(current)
  const changed = listeners<Svid>()
  const stop = new AbortController()
  const renewalOf = ({ notBeforeMs, notAfterMs }: Svid): number => {
    const halfwayMs = notBeforeMs + jittered((notAfterMs - notBeforeMs) / 2)
    return Math.max(halfwayMs, clock() + shortestRenewalMs)
  }
  const announce = (svid: Svid) => {
    showEnd(svid.notAfterMs / 1000)
    log.info({ spiffeId, expiresInMs: svid.notAfterMs - clock() }, 'the own SVID is here')
  }

  /** @returns Whether that went well. */
  const renew = async (): Promise<boolean> => {
    const isOver = current.notAfterMs <= clock()
    const byLast = async () =>
      isOver
        ? bad('it has ended')
        : requestSvid(exchange, spiffeId, { kind: 'svid', svid: current }, clock())
    const ways = [byLast, () => ask(current.bundle)]
    const [way, otherWay] = tokenFile === undefined ? ways : ways.toReversed()
    const renewed = (await way?.()) ?? bad('no way')
    const next = renewed.ok ? renewed : ((await otherWay?.()) ?? renewed)
    if (stop.signal.aborted) return false
    if (!next.ok) {
      const faults = { fault: renewed.ok ? '' : renewed.fault, otherFault: next.fault }
      const fields = { ...faults, expiresInMs: current.notAfterMs - clock() }
      if (isOver) log.error(fields, 'the own SVID has ended: a new token is needed')
      else log.warn(fields, 'the own SVID could not be renewed, the last one is used on')
      return false
    }
    current = next.value
    await keep(current)
    announce(current)
    changed.tell(current)
    return true
  }

  const keepFresh = async () => {
    let failures = 0
    let dueAtMs = renewalOf(current)
    while (!stop.signal.aborted) {
      const leftMs = dueAtMs - clock()
      if (leftMs > 0) {
        await sleep(Math.min(leftMs, longestSleepMs), stop.signal)
        continue
      }
      const isRenewed = await renew().catch((cause: unknown) => {
        log.error({ err: cause }, 'renewing the own SVID broke')
        return false
      })
      if (isRenewed) {
        failures = 0
        dueAtMs = renewalOf(current)
      } else await sleep(retryMs(failures++), stop.signal)
    }
  }

  announce(current)
  void keepFresh()
  return { current: () => current, onChange: changed.add, close: () => stop.abort() }
}

const readToken = async (
  file: string,
  shape: RegExp,
  what: string,
): Promise<Outcome<Secret<string>>> => {
  try {
    const text = (await readFile(file, 'utf8')).trim()
    return shape.test(text) ? good(secret(text)) : bad(`it is not ${what}`)
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(causeText(cause))
  }
}
