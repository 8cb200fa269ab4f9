import { bareword, dot, number } from './kind.ts'
import { readDollar } from './read-string.ts'
import { readWord } from './read-word.ts'
import type { Scanner, Token } from './token.ts'
import { byteSet, isWhite, skip, token } from './token.ts'

const decimal = byteSet('0123456789')
const binary = byteSet('01')
const hexadecimal = byteSet('0123456789ABCDEFabcdef')
const money = byteSet('0123456789.,')

/** `0x…` and `0b…`; without a digit after it, the prefix is a bareword. */
const readPrefixedNumber = (s: Scanner, digits: Uint8Array): Token => {
  const { text, position } = s
  const end = skip(text, position + 2, digits)
  s.position = end
  return token(end === position + 2 ? bareword : number, text, position, end)
}

/** Oracle's suffix for a float or a double counts only where the number ends, or before `u`: `1fUNION`. */
const isFloatSuffix = (text: string, at: number): boolean => {
  const letter = text[at]
  if (letter !== 'd' && letter !== 'D' && letter !== 'f' && letter !== 'F') return false
  const next = text[at + 1]
  return (
    next === undefined ||
    isWhite(next.charCodeAt(0)) ||
    next === ';' ||
    next === 'u' ||
    next === 'U'
  )
}

/**
 * A number; a lone dot is a token of its own.
 *
 * @returns Nothing for `1.e` and the like: MySQL ignores a number with an exponent that has no digits, so `1.e(1)` is
 *   `(1)` and would slip through if we saw a number there.
 */
export const readNumber = (s: Scanner): Token | undefined => {
  const { text, position } = s
  if (text[position] === '0') {
    const prefix = text[position + 1]
    if (prefix === 'x' || prefix === 'X') return readPrefixedNumber(s, hexadecimal)
    if (prefix === 'b' || prefix === 'B') return readPrefixedNumber(s, binary)
  }
  let end = skip(text, position, decimal)
  if (text[end] === '.') {
    end = skip(text, end + 1, decimal)
    if (end - position === 1) {
      s.position = end
      return token(dot, text, position, end)
    }
  }
  let exponentLacksDigits = false
  if (text[end] === 'e' || text[end] === 'E') {
    end++
    if (text[end] === '+' || text[end] === '-') end++
    const digits = end
    end = skip(text, end, decimal)
    exponentLacksDigits = end === digits
  }
  if (isFloatSuffix(text, end)) end++
  s.position = end
  return exponentLacksDigits ? undefined : token(number, text, position, end)
}

/** `$1,000.00` is a number, and so is `$.,1`; `$.` begins a word. */
export const readMoney = (s: Scanner): Token => {
  const { text, position } = s
  const end = skip(text, position + 1, money)
  if (end === position + 1) return readDollar(s)
  if (end === position + 2 && text[position + 1] === '.') return readWord(s)
  s.position = end
  return token(number, text, position, end)
}

/** `x'…'` or `b'…'` with nothing but digits inside is a number, else the letter begins a word. */
const readQuotedNumber = (s: Scanner, digits: Uint8Array): Token => {
  const { text, position } = s
  if (text[position + 1] !== "'") return readWord(s)
  const end = skip(text, position + 2, digits)
  if (text[end] !== "'") return readWord(s)
  s.position = end + 1
  return token(number, text, position, end + 1)
}
export const readQuotedHexadecimal = (s: Scanner): Token => readQuotedNumber(s, hexadecimal)
export const readQuotedBinary = (s: Scanner): Token => readQuotedNumber(s, binary)
