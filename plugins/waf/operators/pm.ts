import { makePhraseIndex } from '../engine/phrase-index.ts'
import { requirementOfPhrases } from '../regex/requirement.ts'
import type { Operator, Test } from './operator.ts'

/** `@pm PHRASE PHRASE …`: one of the phrases occurs, ASCII case ignored. Captures the phrase found first. */
export const pm: Operator = (argument) => containsAny(splitPhrases(argument))

/** `@pmFromFile FILE …` (also `@pmf`): as `@pm`, a phrase a line; lines that begin with `#` are comments. */
export const pmFromFile: Operator = (argument, { readFile }) =>
  containsAny(
    argument
      .split(/\s+/)
      .filter((name) => name !== '')
      .flatMap((name) => readFile(name).split('\n'))
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  )

const containsAny = (phrases: readonly string[]): Test => {
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

/** Splits at spaces; `|41 42|` is bytes in hexadecimal, as Snort writes them. */
const splitPhrases = (argument: string): readonly string[] =>
  argument
    .split(/\s+/)
    .filter((phrase) => phrase !== '')
    .map((phrase) =>
      phrase.replace(/\|((?:[0-9A-Fa-f]{2} ?)+)\|/g, (_, hex: string) =>
        Buffer.from(hex.replaceAll(' ', ''), 'hex').toString('latin1'),
      ),
    )
