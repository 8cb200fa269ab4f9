import type { Clock, RandomBytes } from '#contract/clock'
import type { BucketStore, Spent } from './bucket.ts'
import { recently } from './recently.ts'
import { fixedSlots } from './slots.ts'

export type MemoryStoreOptions = {
  /** How many keys are counted at once, all limits of this store together. */
  readonly slots: number
  /** What its decisions are called; `fallback` when it stands in for a shared store. */
  readonly store?: 'memory' | 'fallback'
}

/**
 * Counts in this process, in memory that is bounded whatever the number of keys, and answers at once. The limiter in
 * memory of rate-limiter-flexible answers with a promise, which cost a sixth of a whole request, and keeps a record and a
 * timer for every key (582 MB for a million); its limiter for Redis counts what is shared (`redis.ts`).
 *
 * What anyone can make up (addresses) belongs in another store than what had to be proved (callers): a flood of the
 * one then fills no slot of the other.
 */
export const memoryStore = (
  { slots: slotCount, store = 'memory' }: MemoryStoreOptions,
  { clock, randomBytes }: { readonly clock: Clock; readonly randomBytes: RandomBytes },
): BucketStore => {
  const slots = fixedSlots(slotCount, clock, randomBytes)
  const counts = new Float64Array(slots.size)
  const remember = recently()

  return {
    bucket: (limit) => {
      const { name, points, windowSeconds } = limit
      const ownerOf = remember((key) => slots.owner(`${name}\0${key}`))
      return {
        limit,
        take: (key): Spent => {
          const { slot, isFresh, resetMs } = slots.findOwner(ownerOf(key), windowSeconds * 1000)
          const count = isFresh ? 1 : (counts[slot] ?? 0) + 1
          counts[slot] = count
          return {
            admitted: count <= points,
            remaining: Math.max(0, points - count),
            resetMs,
            store,
          }
        },
      }
    },
    close: async () => {},
  }
}
