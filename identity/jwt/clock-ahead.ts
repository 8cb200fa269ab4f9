import type { Meter } from '#contract/telemetry'

/** How far the clock of somebody who makes tokens is ahead of ours, as far as its tokens tell. */
export type ClockAhead = {
  /** Told of each token whose signature was checked. */
  readonly made: (issuedAtSeconds: number, nowMs: number) => void
  /** Undefined while no token came. Negative: the youngest was that old already. Times in tokens are whole seconds. */
  readonly seconds: () => number | undefined
}

/** Nothing older than two of these counts. */
const spanMs = 300_000

/**
 * The most that a token was issued in our future in the last five to ten minutes in which any came. A token that is used as soon as it is made
 * tells how far apart the clocks are; an older one tells less than that, so the most of many is nearest to the truth.
 *
 * @param issuer The metric's label.
 */
export const clockAhead = (issuer: string, meter: Meter): ClockAhead => {
  const show = meter.gauge('sallyport_clock_ahead_seconds', { issuer })
  let span = 0
  let most = -Infinity
  let mostBefore = -Infinity

  const moveTo = (nowMs: number) => {
    const current = Math.floor(nowMs / spanMs)
    if (current === span) return
    mostBefore = current === span + 1 ? most : -Infinity
    most = -Infinity
    span = current
  }
  const known = () => Math.max(most, mostBefore)

  return {
    made: (issuedAtSeconds, nowMs) => {
      moveTo(nowMs)
      most = Math.max(most, issuedAtSeconds - nowMs / 1000)
      show(known())
    },
    seconds: () => (Number.isFinite(known()) ? Math.round(known() * 1000) / 1000 : undefined),
  }
}
