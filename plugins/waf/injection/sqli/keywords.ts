import { wordsOf, wordTable } from '../word-table.ts'
import { fingerprintData } from './fingerprint-data.ts'
import { keywordData } from './keyword-data.ts'
import type { Kind } from './token.ts'

const kinds = ['f', 'k', 't', 'o', 'n', 'T', 'v', 'E', 'U', '1', 'B', '&', 'A'] as const

/** The kind of a keyword, phrase or operator. */
export const keywords = wordTable<Kind>(
  kinds.flatMap((kind) => wordsOf(keywordData[kind] ?? '').map((word) => [word, kind] as const)),
)

/** A fingerprint as one number: upper case, base 65, so that five tokens fit into a small integer. */
const packed = (fingerprint: string): number => {
  let number = 0
  for (let i = 0; i < fingerprint.length; i++) {
    const code = fingerprint.charCodeAt(i)
    const upper = code >= 0x61 ? code - 0x20 : code
    number = number * 65 + upper - 0x1f
  }
  return number
}

const injections: ReadonlySet<number> = new Set(fingerprintData.trim().split(/\s+/).map(packed))

/** Whether a fingerprint of at most five tokens is one of an injection. */
export const isInjection = (fingerprint: string): boolean => injections.has(packed(fingerprint))
