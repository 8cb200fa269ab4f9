import type { Clock, RandomBytes } from '#contract/clock'
import { keyedHash } from './keyed-hash.ts'

const slotsPerSet = 8

/** Gives keys their places in a table of fixed size. */
export type Slots = {
  /** How many there are: `slot` is below it. */
  readonly size: number
  /**
   * The slot that counts `key`, whether it must begin anew there, and when the window of that slot ends.
   *
   * @param windowMs How long the key keeps the slot to itself.
   */
  readonly find: (key: string, windowMs: number) => Found
  /** The same in two steps: who a key is, which is always the same, and where that is now. */
  readonly owner: (key: string) => number
  readonly findOwner: (owner: number, windowMs: number) => Found
}

type Found = { readonly slot: number; readonly isFresh: boolean; readonly resetMs: number }

/**
 * A table like a processor's cache: a salted hash picks a set of eight slots, in which a key has a slot to itself from
 * its first request until its window ends. Nobody is ever turned out before that, for who comes back would have all his
 * points again: when a set is full, newcomers share a slot of it. At half as many keys as slots one key in ten
 * thousand meets a full set; under a flood all do, and the flood counts against itself.
 *
 * Typed arrays, 12 bytes a slot.
 */
export const fixedSlots = (count: number, clock: Clock, randomBytes: RandomBytes): Slots => {
  const sets = Math.max(1, Math.floor(count / slotsPerSet))
  const owners = new Uint32Array(sets * slotsPerSet)
  const heldUntilMs = new Float64Array(sets * slotsPerSet)
  const hash = keyedHash(randomBytes(8))

  const findOwner = (owner: number, windowMs: number): Found => {
    const first = (owner % sets) * slotsPerSet
    const nowMs = clock()
    let free = -1
    for (let slot = first; slot < first + slotsPerSet; slot++) {
      const leftMs = (heldUntilMs[slot] ?? 0) - nowMs
      if (leftMs > 0 && owners[slot] === owner) return { slot, isFresh: false, resetMs: leftMs }
      if (leftMs <= 0 && free < 0) free = slot
    }
    if (free < 0) {
      const slot = first + ((owner >>> 29) % slotsPerSet)
      return { slot, isFresh: false, resetMs: (heldUntilMs[slot] ?? 0) - nowMs }
    }
    owners[free] = owner
    heldUntilMs[free] = nowMs + windowMs
    return { slot: free, isFresh: true, resetMs: windowMs }
  }
  return {
    size: owners.length,
    owner: hash,
    findOwner,
    find: (key, windowMs) => findOwner(hash(key), windowMs),
  }
}
