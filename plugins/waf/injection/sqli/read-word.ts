import { keywords } from './keywords.ts'
import { bareword, func, variable } from './kind.ts'
import { readQuoted } from './read-quoted.ts'
import type { Scanner, Token } from './token.ts'
import { byteSet, maxValueLength, skipTo, token } from './token.ts'

const wordEnd = byteSet(' []{}<>:\\?=@!#~+-*/&|^%(),\';\t\n\v\f\r"\xa0\0')
const variableEnd = byteSet(' <>:\\?=@!#~+-*/&|^%(),\';\t\n\v\f\r`"')

/** 1 for what ends a word, 2 for what may: a dot or a back-tick. */
const wordMarks = wordEnd.map((ends, code) => (code === 0x2e || code === 0x60 ? 2 : ends))

/**
 * A word up to the next separator. A dot or back-tick does not end it unless a keyword is before it: `SELECT.1` and
 * ``SELECT`column` `` begin with SELECT. That is looked for first, so that no byte is passed over twice.
 */
export const readWord = (s: Scanner): Token => {
  const { text, position } = s
  const near = Math.min(text.length, position + maxValueLength)
  let end = position
  for (; end < near; end++) {
    const mark = wordMarks[text.charCodeAt(end)] ?? 0
    if (mark === 0) continue
    if (mark !== 2) break
    const kind = keywords.find(text, position, end)
    if (kind === undefined || kind === bareword) continue
    s.position = end
    return token(kind, text, position, end)
  }
  if (end === near) end = skipTo(text, end, wordEnd)
  s.position = end
  return token(keywords.find(text, position, end) ?? bareword, text, position, end)
}

/** MySQL's `` `name` ``: a bareword, whatever is in it, unless that is a function. */
export const readTicked = (s: Scanner): Token => {
  const read = readQuoted(s, 1, '`')
  read.kind = keywords.find(read.text, read.start, read.end) === func ? func : bareword
  return read
}

/** SQL Server's `[name]`. */
export const readBracketed = (s: Scanner): Token => {
  const { text, position } = s
  const found = text.indexOf(']', position)
  s.position = found === -1 ? text.length : found + 1
  return token(bareword, text, position, s.position)
}

/** `@name`, `@@name`, and with the name quoted, which MySQL allows. */
export const readVariable = (s: Scanner): Token => {
  const { text, position } = s
  const sigils = text[position + 1] === '@' ? 2 : 1
  const start = position + sigils
  const next = text[start]
  s.position = start
  if (next === '`') return { ...readTicked(s), kind: variable, sigils }
  if (next === "'" || next === '"') return { ...readQuoted(s, 1, next), kind: variable, sigils }
  s.position = skipTo(text, start, variableEnd)
  return { ...token(variable, text, start, s.position), sigils }
}
