/** Part of a text. */
export type Slice = { readonly text: string; readonly start: number; readonly end: number }

/** Looks words up in a slice of a text, ignoring ASCII case, without making a string of the slice. */
export type WordTable<Value> = {
  readonly find: (text: string, start: number, end: number) => Value | undefined
  /** As `find` for `first`, a space and `second`. */
  readonly findPhrase: (first: Slice, second: Slice) => Value | undefined
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

const lengthBit = (length: number): number => 1 << Math.min(length, 31)

/** @param entries Words in upper case, of bytes. An open hash table of them, at most one quarter full. */
export const wordTable = <Value>(
  entries: readonly (readonly [word: string, value: Value])[],
): WordTable<Value> => {
  const mask = 2 ** Math.ceil(Math.log2(entries.length * 4)) - 1
  /** One more than the index of the entry, so that 0 is empty: an index of -1 would be slow to look up. */
  const slots = new Int16Array(mask + 1)
  /** How long the words are that begin with a byte: what most words of a text fail by. */
  const lengthsByFirst = new Int32Array(256)
  entries.forEach(([word], index) => {
    let slot = hashOn(seed, word, 0, word.length) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = index + 1
    const first = word.charCodeAt(0)
    lengthsByFirst[first] = (lengthsByFirst[first] ?? 0) | lengthBit(word.length)
  })
  const hasLength = (first: number, length: number): boolean =>
    ((lengthsByFirst[upper(first)] ?? 0) & lengthBit(length)) !== 0

  return {
    find: (text, start, end) => {
      const length = end - start
      if (!hasLength(text.charCodeAt(start), length)) return undefined
      for (let slot = hashOn(seed, text, start, end) & mask; ; slot = (slot + 1) & mask) {
        const index = slots[slot] ?? 0
        const entry = index === 0 ? undefined : entries[index - 1]
        if (entry === undefined) return undefined
        const word = entry[0]
        if (word.length === length && sameAt(word, 0, text, start, end)) return entry[1]
      }
    },
    findPhrase: (first, second) => {
      const middle = first.end - first.start
      const length = middle + 1 + second.end - second.start
      if (!hasLength(first.text.charCodeAt(first.start), length)) return undefined
      const begun = Math.imul(hashOn(seed, first.text, first.start, first.end), 33) ^ space
      const hash = hashOn(begun, second.text, second.start, second.end)
      for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
        const index = slots[slot] ?? 0
        const entry = index === 0 ? undefined : entries[index - 1]
        if (entry === undefined) return undefined
        const word = entry[0]
        if (
          word.length === length &&
          word.charCodeAt(middle) === space &&
          sameAt(word, 0, first.text, first.start, first.end) &&
          sameAt(word, middle + 1, second.text, second.start, second.end)
        )
          return entry[1]
      }
    },
  }
}

/** The words of a data table: commas part them, white space around them does not count. */
export const wordsOf = (data: string): readonly string[] =>
  data.split(',').map((word) => word.trim())

/** Whether a slice is the word, which is in upper case, but for ASCII case. */
export const isWord = ({ text, start, end }: Slice, word: string): boolean =>
  end - start === word.length && sameAt(word, 0, text, start, end)

/** Whether a slice begins with the word, which is in upper case, but for ASCII case. */
export const startsWithWord = ({ text, start, end }: Slice, word: string): boolean =>
  end - start >= word.length && sameAt(word, 0, text, start, start + word.length)
