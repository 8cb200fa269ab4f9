import { RateLimiterMemory } from 'rate-limiter-flexible'
import type { Clock, RandomBytes } from '#contract/clock'
import type { BucketStore, Spent } from './bucket.ts'
import { fixedSlots } from './slots.ts'

export type MemoryStoreOptions = {
  /** How many keys are counted at once, all limits of this store together. */
  readonly slots: number
  /** What its decisions are called; `fallback` when it stands in for a shared store. */
  readonly store?: 'memory' | 'fallback'
}

/**
 * Counts in this process. Memory is bounded whatever the number of keys: the limiter of the library keeps a record and a
 * timer for every key it is given (582 MB for a million), so it is given the numbers of slots instead.
 *
 * What anyone can make up (addresses) belongs in another store than what had to be proved (callers): a flood of the
 * one then fills no slot of the other.
 */
export const memoryStore = (
  { slots: slotCount, store = 'memory' }: MemoryStoreOptions,
  { clock, randomBytes }: { readonly clock: Clock; readonly randomBytes: RandomBytes },
): BucketStore => {
  const slots = fixedSlots(slotCount, clock, randomBytes)
  // One limiter for all limits: the window goes with each call and we compare the count ourselves, so it never rejects.
  const limiter = new RateLimiterMemory({
    points: Number.MAX_SAFE_INTEGER,
    duration: 1,
    keyPrefix: '',
  })

  return {
    bucket: (limit) => {
      const { name, points, windowSeconds } = limit
      return {
        limit,
        take: async (key): Promise<Spent> => {
          const { slot, isFresh } = slots.find(`${name}\0${key}`, windowSeconds * 1000)
          if (isFresh) void limiter.delete(slot) // what another key left there
          const { consumedPoints, msBeforeNext } = await limiter.consume(slot, 1, {
            customDuration: windowSeconds,
          })
          return {
            admitted: consumedPoints <= points,
            remaining: Math.max(0, points - consumedPoints),
            resetMs: msBeforeNext,
            store,
          }
        },
      }
    },
    close: async () => {}, // its timers keep no process alive
  }
}
