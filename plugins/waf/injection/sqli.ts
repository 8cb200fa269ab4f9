import { fold, maxTokens } from './sqli/fold.ts'
import { judge } from './sqli/judge.ts'
import { scanner } from './sqli/token.ts'
import type { Token } from './sqli/token.ts'

/** `fingerprint` is empty unless there is an injection. */
export type SqliVerdict = { readonly injection: boolean; readonly fingerprint: string }

const innocent: SqliVerdict = Object.freeze({ injection: false, fingerprint: '' })

const fingerprintOf = (tokens: readonly Token[]): string => {
  let fingerprint = ''
  for (const { kind } of tokens.slice(0, maxTokens)) {
    if (kind === 'X') return 'X'
    fingerprint += kind
  }
  return fingerprint
}

/** PHP's trick: a back-tick that opens nothing and is never closed hides the rest like a comment. */
const seeTickComment = (tokens: readonly Token[]): void => {
  const last = tokens.at(-1)
  if (last === undefined || tokens.length <= 2) return
  if (last.kind === 'n' && last.open === '`' && last.value === '' && last.close === '') last.kind = 'c'
}

type Reading = { readonly fingerprint: string; readonly again: boolean; readonly injection: boolean }

/** Reads the text as if it stood inside the given quote (or none), in ANSI SQL or MySQL. */
const read = (text: string, quote: string, mysql: boolean): Reading => {
  const s = scanner(text, quote, mysql)
  const tokens = fold(s)
  seeTickComment(tokens)
  const fingerprint = fingerprintOf(tokens)
  return {
    fingerprint,
    injection: judge(s, fingerprint, tokens),
    again: s.commentDashes > 0 || s.commentHashes > 0,
  }
}

const readBoth = (text: string, quote: string): SqliVerdict => {
  const ansi = read(text, quote, false)
  if (ansi.injection || !ansi.again) return ansi.injection ? ansi : innocent
  const mysql = read(text, quote, true)
  return mysql.injection ? mysql : innocent
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
  const plain = readBoth(text, '')
  if (plain.injection) return plain
  if (text.includes("'")) {
    const single = readBoth(text, "'")
    if (single.injection) return single
  }
  if (text.includes('"')) {
    const double = read(text, '"', true)
    if (double.injection) return { injection: true, fingerprint: double.fingerprint }
  }
  return innocent
}
