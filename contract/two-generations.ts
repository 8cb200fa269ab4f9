/** A map that holds a bounded number of entries. */
export type TwoGenerations<Value> = {
  readonly get: (key: string) => Value | undefined
  readonly set: (key: string, value: Value) => void
  readonly delete: (key: string) => void
  readonly size: () => number
}

/**
 * At most `maxEntries`, in two generations instead of a list by last use: a full one becomes the old one, what is used again
 * moves over, the rest is forgotten with it. A `Map` with an insert and a delete for every look-up would cost more than the
 * look-up, and ruin the young generation of V8.
 */
export const twoGenerations = <Value>(maxEntries: number): TwoGenerations<Value> => {
  const maxOfOne = Math.max(1, Math.floor(maxEntries / 2))
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  const set = (key: string, value: Value) => {
    if (young.size >= maxOfOne && !young.has(key)) {
      old = young
      young = new Map()
    }
    young.set(key, value)
  }
  return {
    set,
    get: (key) => {
      const found = young.get(key)
      if (found !== undefined) return found
      const aged = old.get(key)
      if (aged === undefined) return undefined
      old.delete(key)
      set(key, aged)
      return aged
    },
    delete: (key) => {
      young.delete(key)
      old.delete(key)
    },
    size: () => young.size + old.size,
  }
}
