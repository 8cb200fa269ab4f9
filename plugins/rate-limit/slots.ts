import type { Clock, RandomBytes } from '#contract/clock'
import { keyedHash } from './keyed-hash.ts'

const slotsPerSet = 8

/** Gives keys their places in a table of fixed size. */
export type Slots = {
  /**
   * The slot that counts `key`, and whether it must begin anew there.
   *
   * @param windowMs How long the key keeps the slot to itself.
   */
  readonly find: (
    key: string,
    windowMs: number,
  ) => { readonly slot: number; readonly isFresh: boolean }
}

/**
 * A table like a processor's cache: a salted hash picks a set of eight slots, in which a key has a slot to itself from
 * its first request until its window ends. Nobody is ever turned out before that, for who comes back would have all his
 * points again: when a set is full, newcomers share a slot of it. At half as many keys as slots one key in ten
 * thousand meets a full set; under a flood all do, and the flood counts against itself.
 *
 * Two typed arrays, 12 bytes a slot.
 */
export const fixedSlots = (count: number, clock: Clock, randomBytes: RandomBytes): Slots => {
  const sets = Math.max(1, Math.floor(count / slotsPerSet))
  const owners = new Uint32Array(sets * slotsPerSet)
  const heldUntilMs = new Float64Array(sets * slotsPerSet)
  const hash = keyedHash(randomBytes(8))

  return {
    find: (key, windowMs) => {
      const owner = hash(key)
      const first = (owner % sets) * slotsPerSet
      const nowMs = clock()
      let free = -1
      for (let slot = first; slot < first + slotsPerSet; slot++) {
        const isHeld = (heldUntilMs[slot] ?? 0) > nowMs
        if (isHeld && owners[slot] === owner) return { slot, isFresh: false }
        if (!isHeld && free < 0) free = slot
      }
      if (free < 0) return { slot: first + ((owner >>> 29) % slotsPerSet), isFresh: false }
      owners[free] = owner
      heldUntilMs[free] = nowMs + windowMs
      return { slot: free, isFresh: true }
    },
  }
}
