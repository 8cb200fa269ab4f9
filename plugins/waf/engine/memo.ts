/** Remembers what was worked out for texts, for a bounded number of them. */
export type Memo<Value> = {
  readonly get: (text: string) => Value | undefined
  readonly set: (text: string, value: Value) => void
}

/** Two generations: when the young one is full it becomes the old, and what the old held is forgotten. */
export const makeMemo = <Value>(maxEntries: number): Memo<Value> => {
  let young = new Map<string, Value>()
  let old = new Map<string, Value>()
  const set = (text: string, value: Value) => {
    if (young.size >= maxEntries) {
      old = young
      young = new Map()
    }
    young.set(text, value)
  }
  return {
    get: (text) => {
      const known = young.get(text)
      if (known !== undefined) return known
      const older = old.get(text)
      if (older !== undefined) set(ownCopy(text), older)
      return older
    },
    set: (text, value) => set(ownCopy(text), value),
  }
}

/** V8 keeps a whole body alive for a slice of it, so what is remembered must not be a slice. */
const ownCopy = (text: string): string =>
  text.length < 13 ? text : Buffer.from(text, 'latin1').toString('latin1')
