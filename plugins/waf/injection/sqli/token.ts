/**
 * The kinds of token, as libinjection writes them in a fingerprint:
 * k keyword, U union, B group, E expression, t type, f function, n bareword, 1 number, v variable, s string, o operator,
 * & logic operator, c comment, A collate, T Transact-SQL, X evil, ? unknown; the others stand for themselves.
 */
export type Kind =
  | 'k' | 'U' | 'B' | 'E' | 't' | 'f' | 'n' | '1' | 'v' | 's' | 'o' | '&' | 'c' | 'A' | 'T' | 'X' | '?'
  | '(' | ')' | '{' | '}' | '.' | ',' | ':' | ';' | '\\' // prettier-ignore

export type Token = {
  kind: Kind
  /** As written, but no longer than `maxValueLength`; for a string without its quotes. */
  value: string
  /** What opened and closed a string, empty if it was not opened (we began inside) or not closed. */
  readonly open: string
  readonly close: string
  /** How many `@` a variable begins with. */
  readonly sigils: number
}

export const maxValueLength = 31

export const token = (
  kind: Kind,
  text: string,
  start: number,
  end: number,
  open = '',
  close = '',
): Token => ({
  kind,
  value: text.slice(start, Math.min(end, start + maxValueLength)),
  open,
  close,
  sigils: 0,
})

/** What is being read. `comment…` count what makes a second reading as MySQL worth while. */
export type Scanner = {
  readonly text: string
  readonly mysql: boolean
  /** The quote that we pretend to be inside of at the beginning, or none. */
  readonly quote: string
  position: number
  tokens: number
  /** `--` with no white space after it: a comment in ANSI SQL, two minus signs in MySQL. */
  commentDashes: number
  /** `#`: an operator in ANSI SQL, a comment in MySQL. */
  commentHashes: number
}

export const scanner = (text: string, quote: string, mysql: boolean): Scanner => ({
  text,
  mysql,
  quote,
  position: 0,
  tokens: 0,
  commentDashes: 0,
  commentHashes: 0,
})

export const isUnary = ({ kind, value }: Token): boolean => {
  if (kind !== 'o') return false
  switch (value.length) {
    case 1:
      return value === '+' || value === '-' || value === '!' || value === '~'
    case 2:
      return value === '!!'
    case 3:
      return value.toUpperCase() === 'NOT'
    default:
      return false
  }
}

export const isArithmetic = ({ kind, value }: Token): boolean =>
  kind === 'o' && value.length === 1 && '*/+-%'.includes(value)

/** A table of bytes, for scanning loops. */
export const byteSet = (characters: string): Uint8Array => {
  const set = new Uint8Array(256)
  for (let i = 0; i < characters.length; i++) set[characters.charCodeAt(i)] = 1
  return set
}

/** The first position from `start` on whose byte is not in the set. */
export const skip = (text: string, start: number, set: Uint8Array): number => {
  let i = start
  while (i < text.length && set[text.charCodeAt(i)] === 1) i++
  return i
}

/** The first position from `start` on whose byte is in the set. */
export const skipTo = (text: string, start: number, set: Uint8Array): number => {
  let i = start
  while (i < text.length && set[text.charCodeAt(i)] !== 1) i++
  return i
}

const white = byteSet(' \t\n\v\f\r\0\xa0')
export const isWhite = (code: number): boolean => white[code] === 1
