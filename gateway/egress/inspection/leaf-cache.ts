import type { Clock } from '#contract/clock'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { LabelsOf, Log, Meter } from '#contract/telemetry'
import { underWay } from '#contract/under-way'
import type { Outcome } from '#identity/outcome'
import type { Leaf } from './request-leaf.ts'

export type LeafCacheOptions = {
  readonly request: (host: string) => Promise<Outcome<Leaf>>
  /** Asked each time, for it may be changed by a reload. */
  readonly maxHosts: () => number
  readonly clock: Clock
  /** A clock that never goes back, in milliseconds. */
  readonly uptimeMs: () => number
  readonly meter: Meter
  readonly log: Log
}

/** Refuses with `inspection-unavailable` where there is none and none can be had. */
export type LeafCache = { readonly of: (host: string) => Soon<Result<Leaf>> }

/** Questions to the exchange at one time: names below a wildcard are without number. */
const maxAsked = 32
/** After a failure nobody asks for the same host for so long: a dead exchange must not hold every tunnel up. */
const restMs = 1000
/** Renewed when less than this part of its life is left. */
const renewShare = 1 / 3

/**
 * Certificates by host, each asked for once at a time and renewed ahead while the last one serves on. Without the exchange a
 * host goes on until its certificate ends, and then nobody gets there: never uninspected.
 */
export const leafCache = (options: LeafCacheOptions): LeafCache => {
  const { request, maxHosts, clock, uptimeMs, meter, log } = options
  const leaves = new Map<string, Leaf>()
  const asking = underWay<Result<Leaf>>()
  const failures = new Map<string, { readonly untilMs: number; readonly fault: string }>()
  const count = (result: LabelsOf<'sallyport_inspection_certificates_total'>['result']) =>
    meter.counter('sallyport_inspection_certificates_total', { result })()

  const keep = (host: string, leaf: Leaf) => {
    leaves.delete(host)
    leaves.set(host, leaf)
    forgetOldest(leaves, maxHosts())
  }
  const ask = (host: string): Promise<Result<Leaf>> =>
    asking.share(host, (answered) =>
      request(host)
        .then((outcome): Result<Leaf> => {
          if (outcome.ok) {
            keep(host, outcome.value)
            return pass(outcome.value)
          }
          failures.delete(host)
          failures.set(host, { untilMs: uptimeMs() + restMs, fault: outcome.fault })
          forgetOldest(failures, maxHosts())
          log.warn({ host, fault: outcome.fault }, 'no certificate for an inspected host')
          return unavailable(outcome.fault)
        })
        .finally(answered),
    )
  /** Why nobody is to ask now. */
  const restOf = (host: string): string | undefined => {
    const failure = failures.get(host)
    if (failure && failure.untilMs > uptimeMs()) return `a moment ago: ${failure.fault}`
    failures.delete(host)
    return asking.size() < maxAsked ? undefined : 'too many are being asked for'
  }

  const renewAhead = (host: string) => {
    if (asking.get(host) || restOf(host) !== undefined) return
    ask(host).then(
      ({ ok }) => count(ok ? 'renewed-ahead' : 'kept-while-down'),
      (cause: unknown) => log.error({ err: cause, host }, 'a bug of ours: renewing a certificate'),
    )
  }

  return {
    of: (host) => {
      const nowMs = clock()
      const leaf = leaves.get(host)
      if (leaf && leaf.notAfterMs > nowMs) {
        count('known')
        keep(host, leaf) // now the one asked for last
        if (isDue(leaf, nowMs)) renewAhead(host)
        return pass(leaf)
      }
      leaves.delete(host)
      const rest = asking.get(host) ? undefined : restOf(host)
      if (rest !== undefined) {
        count('failed')
        return unavailable(rest)
      }
      return ask(host).then((result) => {
        count(result.ok ? 'issued' : 'failed')
        return result
      })
    },
  }
}

const forgetOldest = (map: Map<string, unknown>, max: number): void => {
  for (const oldest of map.keys()) {
    if (map.size <= max) return
    map.delete(oldest)
  }
}

const isDue = ({ notBeforeMs, notAfterMs }: Leaf, nowMs: number): boolean =>
  notAfterMs - nowMs < (notAfterMs - notBeforeMs) * renewShare

const unavailable = (cause: string): Refusal =>
  refuse('inspection-unavailable', { cause, headers: { 'Retry-After': '1' } })
