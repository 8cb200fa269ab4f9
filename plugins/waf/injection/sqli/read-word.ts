import { keywords } from './keywords.ts'
import { readQuoted } from './read-quoted.ts'
import type { Scanner, Token } from './token.ts'
import { byteSet, maxValueLength, skipTo, token } from './token.ts'

const wordEnd = byteSet(' []{}<>:\\?=@!#~+-*/&|^%(),\';\t\n\v\f\r"\xa0\0')
const variableEnd = byteSet(' <>:\\?=@!#~+-*/&|^%(),\';\t\n\v\f\r`"')
const dot = 0x2e
const backTick = 0x60

/**
 * A word up to the next separator. A dot or back-tick does not end it unless a keyword is before it: `SELECT.1` and
 * ``SELECT`column` `` begin with SELECT. That is looked for first, so that no byte is passed over twice.
 */
export const readWord = (s: Scanner): Token => {
  const { text, position } = s
  const near = Math.min(text.length, position + maxValueLength)
  let end = position
  for (; end < near; end++) {
    const code = text.charCodeAt(end)
    if (wordEnd[code] === 1) break
    if (code !== dot && code !== backTick) continue
    const kind = keywords.find(text, position, end)
    if (kind === undefined || kind === 'n') continue
    s.position = end
    return token(kind, text, position, end)
  }
  end = skipTo(text, end, wordEnd)
  s.position = end
  const kind = end - position > maxValueLength ? undefined : keywords.find(text, position, end)
  return token(kind ?? 'n', text, position, end)
}

/** MySQL's `` `name` ``: a bareword, whatever is in it, unless that is a function. */
export const readTicked = (s: Scanner): Token => {
  const read = readQuoted(s, 1, '`')
  read.kind = keywords.find(read.value, 0, read.value.length) === 'f' ? 'f' : 'n'
  return read
}

/** SQL Server's `[name]`. */
export const readBracketed = (s: Scanner): Token => {
  const { text, position } = s
  const found = text.indexOf(']', position)
  s.position = found === -1 ? text.length : found + 1
  return token('n', text, position, s.position)
}

/** `@name`, `@@name`, and with the name quoted, which MySQL allows. */
export const readVariable = (s: Scanner): Token => {
  const { text, position } = s
  const sigils = text[position + 1] === '@' ? 2 : 1
  const start = position + sigils
  const next = text[start]
  s.position = start
  if (next === '`') return { ...readTicked(s), kind: 'v', sigils }
  if (next === "'" || next === '"') return { ...readQuoted(s, 1, next), kind: 'v', sigils }
  s.position = skipTo(text, start, variableEnd)
  return { ...token('v', text, start, s.position), sigils }
}
