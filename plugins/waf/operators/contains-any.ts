import { makePhraseIndex } from '../engine/phrase-index.ts'
import { requirementOfPhrases } from '../regex/requirement.ts'
import type { Test } from './operator.ts'

/** Asks whether one of some phrases occurs, ASCII case ignored. @throws TypeError without a phrase */
export const containsAny = (phrases: readonly string[]): Test => {
  if (phrases.length === 0) throw new TypeError('@pm without a phrase would never match')
  const single = phrases.filter((phrase) => phrase.length === 1).map((byte) => byte.toLowerCase())
  const index = makePhraseIndex(phrases)
  /** Where the phrase ends that ends first. */
  const find = (value: string): readonly [number, number] | undefined => {
    let best: readonly [number, number] | undefined
    index.scan(value, (phrase, end) => {
      const length = phrases[phrase]?.length ?? 0
      if (best === undefined || end < best[1]) best = [end - length, end]
      return end - length > (best[1] ?? 0)
    })
    if (single.length > 0) {
      const folded = value.toLowerCase()
      for (const byte of single) {
        const at = folded.indexOf(byte)
        if (at >= 0 && (best === undefined || at + 1 < best[1])) best = [at, at + 1]
      }
    }
    return best
  }
  return {
    test: (value) => {
      let found = false
      index.scan(value, () => (found = true))
      return found || (single.length > 0 && find(value) !== undefined)
    },
    capture: (value) => {
      const found = find(value)
      return found ? [value.slice(found[0], found[1])] : []
    },
    requirement: requirementOfPhrases(phrases),
  }
}
