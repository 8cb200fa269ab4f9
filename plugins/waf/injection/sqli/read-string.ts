import { bareword, string } from './kind.ts'
import { readQuoted } from './read-quoted.ts'
import { readWord } from './read-word.ts'
import type { Scanner, Token } from './token.ts'
import { byteSet, skip, stringToken, token } from './token.ts'

const letters = byteSet('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')

/** A string up to `mark`, in which nothing is escaped. */
const readUntil = (s: Scanner, start: number, mark: string, label: string): Token => {
  const { text } = s
  const end = text.indexOf(mark, start)
  if (end === -1) {
    s.position = text.length
    return stringToken(string, text, start, text.length, label, '')
  }
  s.position = end + mark.length
  return stringToken(string, text, start, end, label, label)
}

/** PostgreSQL's `$$…$$` and `$tag$…$tag$`; a `$` that is neither is a bareword. */
export const readDollar = (s: Scanner): Token => {
  const { text, position } = s
  const end = skip(text, position + 1, letters)
  if (text[end] === '$') return readUntil(s, end + 1, text.slice(position, end + 1), '$')
  s.position = position + 1
  return token(bareword, text, position, position + 1)
}

/** `E'…'` and `N'…'`, else a word. */
export const readPrefixed = (s: Scanner): Token =>
  s.position + 2 < s.text.length && s.text[s.position + 1] === "'"
    ? readQuoted(s, 2, "'")
    : readWord(s)

/** `U&'…'`, else a word. */
export const readUnicode = (s: Scanner): Token => {
  if (!s.text.startsWith("&'", s.position + 1)) return readWord(s)
  s.position += 2
  const read = readQuoted(s, 1, "'")
  return { ...read, open: 'u', close: read.close === '' ? '' : 'u' }
}

const closers: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}', '<': '>' }

/** Oracle's `q'[…]'`, whose delimiter is any printable ASCII; else a word. */
export const readOracle = (s: Scanner, prefixLength = 0): Token => {
  const { text } = s
  const at = s.position + prefixLength
  const isQ = text[at] === 'q' || text[at] === 'Q'
  const delimiter = text[at + 2]
  if (!isQ || text[at + 1] !== "'" || delimiter === undefined) return readWord(s)
  const code = delimiter.charCodeAt(0)
  if (code < 33 || code > 127) return readWord(s)
  return readUntil(s, at + 3, `${closers[delimiter] ?? delimiter}'`, 'q')
}

/** `N'…'`, `Nq'[…]'`, else a word. */
export const readNational = (s: Scanner): Token =>
  s.position + 2 < s.text.length && s.text[s.position + 1] === "'"
    ? readPrefixed(s)
    : readOracle(s, 1)
