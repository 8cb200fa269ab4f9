import type { Upstream } from '#config/schema'
import { stateOf, type Target } from './target.ts'

/** How a request went, as far as it tells something of the target. */
export type RequestOutcome = 'ok' | 'failed' | 'says nothing'

/**
 * Puts a target aside after so many failures one after the other, each time for twice as long as the last time, but never
 * more than a share of all of them: if everything fails, it is not they.
 *
 * @returns A function told of each request; it says whether it has put the target aside.
 */
export const ejector = ({
  afterFailures,
  baseSeconds,
  maxSeconds,
  maxPercent,
}: Upstream['ejection']) => {
  const durationMs = (ejections: number) =>
    Math.min(baseSeconds * 2 ** Math.max(0, ejections - 1), maxSeconds) * 1000
  return (
    target: Target,
    outcome: RequestOutcome,
    all: readonly Target[],
    nowMs: number,
  ): boolean => {
    if (outcome === 'ok') target.failures = 0
    if (outcome !== 'failed' || afterFailures === 0) return false
    target.failures += 1
    if (target.failures < afterFailures || stateOf(target, nowMs) !== 'available') return false
    const aside = all.filter((other) => stateOf(other, nowMs) !== 'available').length
    if (aside + 1 > (all.length * maxPercent) / 100) return false
    const lastedMs = durationMs(target.ejections)
    // Since it came back it has done well for as long as it was away: all is forgotten.
    if (nowMs - target.ejectedUntilMs > lastedMs) target.ejections = 0
    target.ejections += 1
    target.failures = 0
    target.ejectedUntilMs = nowMs + durationMs(target.ejections)
    return true
  }
}
