import type { Clock } from '#contract/clock'
import type { Meter } from '#contract/telemetry'
import { issuedKinds } from './issued.ts'
import type { IssuedRegister } from './register.ts'

const minuteMs = 60_000
/** A credential counts where it ends first. */
const spans = [
  ['1m', minuteMs],
  ['5m', 5 * minuteMs],
  ['1h', 60 * minuteMs],
  ['24h', 1440 * minuteMs],
  ['later', Infinity],
] as const

/** Shows how much is out and when it will end: without names, which would make a series of each. */
export const issuedTimeline = (register: IssuedRegister, meter: Meter, clock: Clock) => {
  const shows = issuedKinds.flatMap((kind) =>
    spans.map(([span]) => ({
      kind,
      span,
      show: meter.gauge('sallyport_issued_live', { kind, ends_within: span }),
    })),
  )
  return (): void => {
    const nowMs = clock()
    const counts = new Map<string, number>()
    for (const { kind, expiresAtMs, revoked } of register.list({})) {
      if (revoked) continue
      const [span] = spans.find(([, ms]) => expiresAtMs - nowMs <= ms) ?? ['later']
      counts.set(`${kind} ${span}`, (counts.get(`${kind} ${span}`) ?? 0) + 1)
    }
    for (const { kind, span, show } of shows) show(counts.get(`${kind} ${span}`) ?? 0)
  }
}
