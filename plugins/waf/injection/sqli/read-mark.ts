import { keywords } from './keywords.ts'
import type { Kind } from './kind.ts'
import { backslash, colon, comment, evil, number, operator } from './kind.ts'
import type { Scanner, Token } from './token.ts'
import { isWhite, token } from './token.ts'

/** One byte, of a kind that we know already. */
export const readByte = (s: Scanner, kind: Kind): Token => {
  const { text, position } = s
  s.position = position + 1
  return token(kind, text, position, position + 1)
}

const readLineComment = (s: Scanner): Token => {
  const { text, position } = s
  const end = text.indexOf('\n', position)
  s.position = end === -1 ? text.length : end + 1
  return token(comment, text, position, end === -1 ? text.length : end)
}

/** `#`: a comment in MySQL, else an operator. */
export const readHash = (s: Scanner): Token => {
  s.commentHashes++
  return s.mysql ? readLineComment(s) : readByte(s, operator)
}

/** `--` before white space or the end is a comment everywhere, before anything else everywhere but in MySQL. */
export const readDash = (s: Scanner): Token => {
  const { text, position } = s
  if (text[position + 1] !== '-') return readByte(s, operator)
  if (position + 2 === text.length || isWhite(text.charCodeAt(position + 2)))
    return readLineComment(s)
  if (s.mysql) return readByte(s, operator)
  s.commentDashes++
  return readLineComment(s)
}

/**
 * `/*` up to its end is a comment. One within another, which only PostgreSQL nests, and MySQL's conditional comments,
 * which are code, cannot be read for certain: evil.
 */
export const readSlash = (s: Scanner): Token => {
  const { text, position } = s
  if (text[position + 1] !== '*') return readByte(s, operator)
  const found = text.indexOf('*/', position + 2)
  const end = found === -1 ? text.length : found + 2
  const isConditional = text[position + 2] === '!'
  // The byte after the star counts, so that `/*/*/` holds a second opening.
  const isNested = found !== -1 && text.slice(position + 2, found + 1).includes('/*')
  s.position = end
  return token(isNested || isConditional ? evil : comment, text, position, end)
}

/** `\N` is MySQL's NULL. */
export const readBackslash = (s: Scanner): Token => {
  const { text, position } = s
  if (text[position + 1] !== 'N') return readByte(s, backslash)
  s.position = position + 2
  return token(number, text, position, position + 2)
}

/** The longest operator here: `<=>`, one of two bytes, or one byte. */
export const readOperator = (s: Scanner): Token => {
  const { text, position } = s
  if (text.startsWith('<=>', position)) {
    s.position = position + 3
    return token(operator, text, position, position + 3)
  }
  if (position + 1 < text.length) {
    const kind = keywords.find(text, position, position + 2)
    if (kind !== undefined) {
      s.position = position + 2
      return token(kind, text, position, position + 2)
    }
    if (text[position] === ':') return readByte(s, colon)
  }
  return readByte(s, operator)
}
