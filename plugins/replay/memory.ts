import type { Clock } from '#contract/clock'
import type { Seen } from './seen.ts'

/** Ids that end within one such span are forgotten together. */
const spanMs = 10_000

/**
 * Remembers in this process, at most `maxEntries` ids. When it is full of ids that have not ended it says that it cannot
 * tell: to forget one of them early would be to let it be used again.
 */
export const memorySeen = (maxEntries: number, clock: Clock): Seen => {
  const ids = new Set<string>()
  /** Ids by the span in which they end. */
  const spans = new Map<number, string[]>()

  const forgetEnded = (nowMs: number) => {
    const now = Math.floor(nowMs / spanMs)
    for (const [span, ended] of spans) {
      if (span >= now) continue
      for (const id of ended) ids.delete(id)
      spans.delete(span)
    }
  }

  return {
    see: (id, expiresAtMs) => {
      forgetEnded(clock())
      if (ids.has(id)) return 'again'
      if (ids.size >= maxEntries) return 'unknown'
      ids.add(id)
      const span = Math.floor(expiresAtMs / spanMs)
      const others = spans.get(span)
      if (others) others.push(id)
      else spans.set(span, [id])
      return 'first'
    },
    close: async () => {},
  }
}
