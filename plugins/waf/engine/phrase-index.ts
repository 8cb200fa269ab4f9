/**
 * Finds which of many phrases occur in a text, ASCII case ignored, in one pass. A bitmap of folded byte triples says
 * at nearly every place that nothing begins there; only the rest is looked up in a trie.
 */
export type PhraseIndex = {
  /** Calls `found` for every phrase at every place, by its number; stops when it answers true. */
  readonly scan: (text: string, found: (phrase: number, end: number) => boolean) => void
}

const tripleBits = 18
const tripleMask = (1 << tripleBits) - 1
const foldOf = new Uint8Array(256).map((_, byte) => (byte >= 65 && byte <= 90 ? byte + 32 : byte))
const byteOf = (text: string, at: number): number => foldOf[text.charCodeAt(at) & 255] ?? 0
/** Three folded bytes as one number below 2^18; different triples may share one. */
const hashTriple = (triple: number): number => (triple ^ (triple >>> 7)) & tripleMask

/** Phrases of one byte are the caller's to look for; they are never found here. */
export const makePhraseIndex = (phrases: readonly string[]): PhraseIndex => {
  const triples = new Uint32Array((tripleMask + 1) / 32)
  const pairs = new Uint32Array(65_536 / 32)
  let hasPairs = false
  const trie = makeTrie(phrases.reduce((sum, phrase) => sum + phrase.length, 1))
  const setBit = (bits: Uint32Array, at: number) => {
    bits[at >>> 5] = (bits[at >>> 5] ?? 0) | (1 << (at & 31))
  }
  phrases.forEach((phrase, number) => {
    if (phrase.length < 2) return
    const pair = (byteOf(phrase, 0) << 8) | byteOf(phrase, 1)
    if (phrase.length === 2) {
      hasPairs = true
      setBit(pairs, pair)
    } else setBit(triples, hashTriple((pair << 8) | byteOf(phrase, 2)))
    trie.add(phrase, number)
  })

  const scan: PhraseIndex['scan'] = (text, found) => {
    const { length } = text
    if (length < 2) return
    let window = (byteOf(text, 0) << 8) | byteOf(text, 1)
    for (let at = 0; at < length - 1; at++) {
      const pair = window & 0xffff
      let hit = hasPairs && (((pairs[pair >>> 5] ?? 0) >>> (pair & 31)) & 1) === 1
      if (at + 2 < length) {
        window = ((window << 8) | (foldOf[text.charCodeAt(at + 2) & 255] ?? 0)) & 0xffffff
        const hash = (window ^ (window >>> 7)) & tripleMask
        hit = hit || (((triples[hash >>> 5] ?? 0) >>> (hash & 31)) & 1) === 1
      }
      if (hit && trie.walk(text, at, found)) return
    }
  }
  return { scan }
}

/** A trie whose edges are one open-addressed table: a few bytes an edge, however many phrases. */
const makeTrie = (maxEdges: number) => {
  let capacity = 64
  while (capacity < maxEdges * 2) capacity *= 2
  const keys = new Int32Array(capacity)
  const targets = new Int32Array(capacity)
  const outputs = new Map<number, number[]>()
  const ends = new Uint8Array(maxEdges + 1)
  let nodeCount = 1

  /** Where the edge is, or where it would go. Key 0 marks a free place, so keys are one more than they say. */
  const placeOf = (key: number): number => {
    let place = (Math.imul(key, 0x9e3779b1) >>> 8) & (capacity - 1)
    while (keys[place] !== 0 && keys[place] !== key) place = (place + 1) & (capacity - 1)
    return place
  }
  const add = (phrase: string, number: number): void => {
    let node = 0
    for (let i = 0; i < phrase.length; i++) {
      const key = ((node << 8) | byteOf(phrase, i)) + 1
      const place = placeOf(key)
      if (keys[place] === 0) {
        keys[place] = key
        targets[place] = nodeCount++
      }
      node = targets[place] ?? 0
    }
    ends[node] = 1
    const numbers = outputs.get(node)
    if (numbers) numbers.push(number)
    else outputs.set(node, [number])
  }
  const walk = (
    text: string,
    from: number,
    found: (phrase: number, end: number) => boolean,
  ): boolean => {
    let node = 0
    for (let i = from; i < text.length; i++) {
      const place = placeOf(((node << 8) | byteOf(text, i)) + 1)
      if (keys[place] === 0) return false
      node = targets[place] ?? 0
      if (ends[node] === 1)
        for (const number of outputs.get(node) ?? []) if (found(number, i + 1)) return true
    }
    return false
  }
  return { add, walk }
}
