import type { Scanner, Token } from './token.ts'
import { string } from './kind.ts'
import { stringToken } from './token.ts'

const backslash = 0x5c

/** Whether an odd number of backslashes stands before `at`, looking no further back than `start`. */
const isEscaped = (text: string, start: number, at: number): boolean => {
  let i = at
  while (i > start && text.charCodeAt(i - 1) === backslash) i--
  return (at - i) % 2 === 1
}

/**
 * A string in quotes. A quote in it is escaped by a backslash or by doubling.
 *
 * @param prefixLength Bytes before the first byte of the string; 0 if we only pretend that it was opened.
 */
export const readQuoted = (s: Scanner, prefixLength: number, quote: string): Token => {
  const { text } = s
  const start = s.position + prefixLength
  const open = prefixLength > 0 ? quote : ''
  let end = text.indexOf(quote, start)
  while (end !== -1) {
    if (isEscaped(text, start, end)) end = text.indexOf(quote, end + 1)
    else if (text[end + 1] === quote) end = text.indexOf(quote, end + 2)
    else break
  }
  if (end === -1) {
    s.position = text.length
    return stringToken(string, text, start, text.length, open, '')
  }
  s.position = end + 1
  return stringToken(string, text, start, end, open, quote)
}
