import type { Slice } from '../word-table.ts'
import { isWord } from '../word-table.ts'
import type { Kind } from './kind.ts'
import { operator } from './kind.ts'

/**
 * A token, and its value: the slice of the text where it was written, of a phrase the words parted by one space. It is
 * no longer than `maxValueLength`, and without the quotes of a string.
 */
export type Token = Slice & {
  kind: Kind
  text: string
  start: number
  end: number
  /** What opened and closed a string, empty if it was not opened (we began inside) or not closed. */
  readonly open: string
  readonly close: string
  /** How many `@` a variable begins with. */
  readonly sigils: number
}

export const maxValueLength = 31

export const stringToken = (
  kind: Kind,
  text: string,
  start: number,
  end: number,
  open: string,
  close: string,
): Token => ({
  kind,
  text,
  start,
  end: end - start > maxValueLength ? start + maxValueLength : end,
  open,
  close,
  sigils: 0,
})

export const token = (kind: Kind, text: string, start: number, end: number): Token =>
  stringToken(kind, text, start, end, '', '')

export const valueOf = ({ text, start, end }: Slice): string => text.slice(start, end)

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

export const isUnary = (token: Token): boolean => {
  if (token.kind !== operator) return false
  const { text, start, end } = token
  switch (end - start) {
    case 1:
      return '+-!~'.includes(text.charAt(start))
    case 2:
      return text.startsWith('!!', start)
    case 3:
      return isWord(token, 'NOT')
    default:
      return false
  }
}

export const isArithmetic = ({ kind, text, start, end }: Token): boolean =>
  kind === operator && end - start === 1 && '*/+-%'.includes(text.charAt(start))

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
