/** Looks words up in a slice of a text, ignoring ASCII case, without making a string of the slice. */
export type WordTable<Value> = {
  readonly find: (text: string, start: number, end: number) => Value | undefined
  /** As `find` for `first`, a space and `second`. */
  readonly findPhrase: (first: string, second: string) => Value | undefined
}

const seed = 5381
const space = 0x20

const upper = (code: number): number => (code >= 0x61 && code <= 0x7a ? code - 0x20 : code)

const hashOn = (hash: number, text: string, start: number, end: number): number => {
  let h = hash
  for (let i = start; i < end; i++) h = (Math.imul(h, 33) ^ upper(text.charCodeAt(i))) | 0
  return h
}

const sameAt = (word: string, at: number, text: string, start: number, end: number): boolean => {
  for (let i = start; i < end; i++)
    if (word.charCodeAt(at + i - start) !== upper(text.charCodeAt(i))) return false
  return true
}

/** @param entries Words in upper case. An open hash table of them, at most one quarter full. */
export const wordTable = <Value>(
  entries: readonly (readonly [word: string, value: Value])[],
): WordTable<Value> => {
  const mask = 2 ** Math.ceil(Math.log2(entries.length * 4)) - 1
  const slots = new Int16Array(mask + 1).fill(-1)
  const longest = entries.reduce((most, [word]) => Math.max(most, word.length), 0)
  entries.forEach(([word], index) => {
    let slot = hashOn(seed, word, 0, word.length) & mask
    while (slots[slot] !== -1) slot = (slot + 1) & mask
    slots[slot] = index
  })

  return {
    find: (text, start, end) => {
      const length = end - start
      if (length > longest) return undefined
      for (let slot = hashOn(seed, text, start, end) & mask; ; slot = (slot + 1) & mask) {
        const entry = entries[slots[slot] ?? -1]
        if (entry === undefined) return undefined
        const word = entry[0]
        if (word.length === length && sameAt(word, 0, text, start, end)) return entry[1]
      }
    },
    findPhrase: (first, second) => {
      const length = first.length + 1 + second.length
      if (length > longest) return undefined
      const begun = Math.imul(hashOn(seed, first, 0, first.length), 33) ^ space
      const hash = hashOn(begun, second, 0, second.length)
      for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
        const entry = entries[slots[slot] ?? -1]
        if (entry === undefined) return undefined
        const word = entry[0]
        if (
          word.length === length &&
          word.charCodeAt(first.length) === space &&
          sameAt(word, 0, first, 0, first.length) &&
          sameAt(word, first.length + 1, second, 0, second.length)
        )
          return entry[1]
      }
    },
  }
}

/** The words of a data table: commas part them, white space around them does not count. */
export const wordsOf = (data: string): readonly string[] =>
  data.split(',').map((word) => word.trim())

/** Whether two texts are the same but for ASCII case; `word` is in upper case. */
export const isWord = (text: string, word: string): boolean =>
  text.length === word.length && sameAt(word, 0, text, 0, text.length)
