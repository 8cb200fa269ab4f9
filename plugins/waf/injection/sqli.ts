import { fold } from './sqli/fold.ts'
import { judge } from './sqli/judge.ts'
import { bareword, comment, evil, letterOf } from './sqli/kind.ts'
import type { Scanner, Token } from './sqli/token.ts'
import { scanner } from './sqli/token.ts'

/** `fingerprint` is empty unless there is an injection. */
export type SqliVerdict = { readonly injection: boolean; readonly fingerprint: string }

const innocent: SqliVerdict = Object.freeze({ injection: false, fingerprint: '' })

const fingerprintOf = (tokens: readonly Token[]): string =>
  tokens.some(({ kind }) => kind === evil) ? 'X' : tokens.map(({ kind }) => letterOf(kind)).join('')

/** PHP's trick: a back-tick that opens nothing and is never closed hides the rest like a comment. */
const seeTickComment = (tokens: readonly Token[]): void => {
  const last = tokens.at(-1)
  if (last === undefined || tokens.length <= 2) return
  if (last.kind === bareword && last.open === '`' && last.end === last.start && last.close === '')
    last.kind = comment
}

/** Reads the text as if it stood inside the given quote (or none). @returns The tokens of an injection. */
const read = (s: Scanner): readonly Token[] | undefined => {
  const tokens = fold(s)
  seeTickComment(tokens)
  return judge(s, tokens) ? tokens : undefined
}

/** Reads the text as ANSI SQL, and again as MySQL if it may mean something else there. */
const readBoth = (text: string, quote: string): readonly Token[] | undefined => {
  const ansi = scanner(text, quote, false)
  const tokens = read(ansi)
  if (tokens !== undefined || (ansi.commentDashes === 0 && ansi.commentHashes === 0)) return tokens
  return read(scanner(text, quote, true))
}

/**
 * Whether every byte is a letter, digit, underscore or ≥ 0x80 (but not a no-break space). Such a text is at most a
 * number and a word, and no fingerprint of these is an injection.
 */
const isPlainWord = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const isWordByte =
      (code >= 0x61 && code <= 0x7a) ||
      (code >= 0x30 && code <= 0x39) ||
      (code >= 0x41 && code <= 0x5a) ||
      code === 0x5f ||
      (code >= 0x80 && code !== 0xa0)
    if (!isWordByte) return false
  }
  return true
}

/**
 * SQL injection as libinjection detects it (@detectSQLi): tokens are folded to a fingerprint of at most five, which a
 * table knows or not. The text is read as it is, and as what follows an opened single or double quote if it has one.
 *
 * Linear in the length of the text, which is latin1 (one character, one byte).
 */
export const detectSqli = (text: string): SqliVerdict => {
  if (isPlainWord(text)) return innocent
  const tokens =
    readBoth(text, '') ??
    (text.includes("'") ? readBoth(text, "'") : undefined) ??
    (text.includes('"') ? read(scanner(text, '"', true)) : undefined)
  return tokens === undefined ? innocent : { injection: true, fingerprint: fingerprintOf(tokens) }
}
