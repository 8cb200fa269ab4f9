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
  const rows = new Map(
    issuedKinds.map((kind) => [
      kind,
      spans.map(([span, withinMs]) => ({
        withinMs,
        show: meter.gauge('sallyport_issued_live', { kind, ends_within: span }),
      })),
    ]),
  )
  return async (): Promise<void> => {
    const nowMs = clock()
    // Of this pass alone: a slow one may still be under way when the next begins.
    const counts = new Map([...rows.values()].flat().map((row) => [row, 0]))
    await register.each(({ kind, expiresAtMs }, isRevoked) => {
      const row = rows.get(kind)?.find(({ withinMs }) => expiresAtMs - nowMs <= withinMs)
      if (row && !isRevoked) counts.set(row, (counts.get(row) ?? 0) + 1)
    })
    for (const [{ show }, count] of counts) show(count)
  }
}
