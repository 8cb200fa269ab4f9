/** A set of byte values: 256 bits. Never changed after it was made. */
export type ByteSet = Uint32Array

export const emptySet = (): ByteSet => new Uint32Array(8)

export const hasByte = (set: ByteSet, byte: number): boolean =>
  (((set[byte >>> 5] ?? 0) >>> (byte & 31)) & 1) === 1

const addByte = (set: ByteSet, byte: number): void => {
  set[byte >>> 5] = (set[byte >>> 5] ?? 0) | (1 << (byte & 31))
}

/** The set of all bytes in the ranges, both ends included. */
export const setOf = (...ranges: readonly (readonly [from: number, to: number])[]): ByteSet => {
  const set = emptySet()
  for (const [from, to] of ranges) for (let byte = from; byte <= to; byte++) addByte(set, byte)
  return set
}

const singles: readonly ByteSet[] = Array.from({ length: 256 }, (_, byte) => setOf([byte, byte]))
/** The set of one byte. Always the same object for the same byte. */
export const setOfByte = (byte: number): ByteSet => singles[byte & 255] ?? emptySet()

export const union = (...sets: readonly ByteSet[]): ByteSet =>
  emptySet().map((_, i) => sets.reduce((bits, set) => bits | (set[i] ?? 0), 0))

export const complement = (set: ByteSet): ByteSet => set.map((bits) => ~bits)

const foldedSets = new WeakMap<ByteSet, ByteSet>()
/** With the other case of every ASCII letter in it, and of no other byte: PCRE without locale. */
export const foldCase = (set: ByteSet): ByteSet => {
  const known = foldedSets.get(set)
  if (known) return known
  const folded = set.slice()
  for (let upper = 65; upper <= 90; upper++) {
    if (hasByte(set, upper)) addByte(folded, upper + 32)
    if (hasByte(set, upper + 32)) addByte(folded, upper)
  }
  foldedSets.set(set, folded)
  return folded
}

const bytesOfSets = new WeakMap<ByteSet, readonly number[]>()
export const bytesOf = (set: ByteSet): readonly number[] => {
  const known = bytesOfSets.get(set)
  if (known) return known
  const bytes: number[] = []
  for (let byte = 0; byte < 256; byte++) if (hasByte(set, byte)) bytes.push(byte)
  bytesOfSets.set(set, bytes)
  return bytes
}

export const anyByte: ByteSet = setOf([0, 255])
export const digits: ByteSet = setOf([48, 57])
export const wordBytes: ByteSet = setOf([48, 57], [65, 90], [95, 95], [97, 122])
/** PCRE's `\s`: with the vertical tab, without 0xA0. */
export const spaces: ByteSet = setOf([9, 13], [32, 32])
/** PCRE's `\h` on bytes. */
export const horizontalSpaces: ByteSet = setOf([9, 9], [32, 32], [160, 160])

/** The POSIX classes, as `[:alpha:]` in a class. */
export const posixClasses: Readonly<Record<string, ByteSet>> = {
  alnum: setOf([48, 57], [65, 90], [97, 122]),
  alpha: setOf([65, 90], [97, 122]),
  ascii: setOf([0, 127]),
  blank: setOf([9, 9], [32, 32]),
  cntrl: setOf([0, 31], [127, 127]),
  digit: digits,
  graph: setOf([33, 126]),
  lower: setOf([97, 122]),
  print: setOf([32, 126]),
  punct: setOf([33, 47], [58, 64], [91, 96], [123, 126]),
  space: spaces,
  upper: setOf([65, 90]),
  word: wordBytes,
  xdigit: setOf([48, 57], [65, 70], [97, 102]),
}
