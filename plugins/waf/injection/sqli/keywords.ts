import { wordsOf, wordTable } from '../word-table.ts'
import { fingerprintData } from './fingerprint-data.ts'
import { keywordData } from './keyword-data.ts'
import type { Kind } from './kind.ts'
import { codeOf, kindOf, unknown } from './kind.ts'

/** The kind of a keyword, phrase or operator. */
export const keywords = wordTable<Kind>(
  Object.entries(keywordData).flatMap(([letter, words]) =>
    wordsOf(words).map((word) => [word, kindOf(letter)] as const),
  ),
)

/**
 * A fingerprint as one number, so that looking it up needs no string: upper case, base 65, up to five tokens.
 *
 * @param codeAt The letter of each token, as a character code.
 */
const pack = (length: number, codeAt: (index: number) => number): number => {
  let packed = 0
  for (let i = 0; i < length; i++) {
    const code = codeAt(i)
    packed = packed * 65 + (code >= 0x61 ? code - 0x20 : code) - 0x1f
  }
  return packed
}

const injections: ReadonlySet<number> = new Set(
  fingerprintData
    .trim()
    .split(/\s+/)
    .map((fingerprint) => pack(fingerprint.length, (i) => fingerprint.charCodeAt(i))),
)

/** Whether the fingerprint of at most five tokens is one of an injection. */
export const isInjection = (tokens: readonly { readonly kind: Kind }[]): boolean =>
  injections.has(pack(tokens.length, (i) => codeOf(tokens[i]?.kind ?? unknown)))
