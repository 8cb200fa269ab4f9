/**
 * The candidate that `word` was probably meant to be: a letter wrong, missing, too many or swapped, up to three in a
 * longer word, or a part of the one left out. Undefined when nothing is near, so that a suggestion is not a wild guess.
 */
export const nearest = (word: string, candidates: Iterable<string>): string | undefined => {
  const wanted = comparable(word)
  let best: string | undefined
  let bestDistance = Math.min(3, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    const other = comparable(candidate)
    const found = isPartOf(wanted, other) ? 1 : distance(wanted, other, bestDistance)
    if (found < bestDistance) [best, bestDistance] = [candidate, found]
  }
  return best
}

const maxLength = 64

/** Case and separators are the commonest slips: `max_body_bytes` means `maxBodyBytes`. */
const comparable = (word: string) => word.slice(0, maxLength).toLowerCase().replaceAll(/[-_ ]/g, '')

/** `tokenFile` means `joinTokenFile`; a part of a few letters says nothing. */
const isPartOf = (a: string, b: string): boolean =>
  a !== b && Math.min(a.length, b.length) >= 5 && (a.includes(b) || b.includes(a))

/** Damerau-Levenshtein distance (optimal string alignment), or `limit` if it is not less. */
const distance = (a: string, b: string, limit: number): number => {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let beforeLast: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substituted = at(last, j - 1) + (a[i - 1] === b[j - 1] ? 0 : 1)
      let cost = Math.min(substituted, at(last, j) + 1, at(row, j - 1) + 1)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) cost = Math.min(cost, at(beforeLast, j - 2) + 1)
      row.push(cost)
    }
    if (Math.min(...row) >= limit) return limit
    beforeLast = last
    last = row
  }
  return Math.min(at(last, b.length), limit)
}

const at = (row: readonly number[], i: number): number => row[i] ?? Infinity
