import {
  comma,
  leftBrace,
  leftParenthesis,
  operator,
  rightBrace,
  rightParenthesis,
  semicolon,
  unknown,
} from './kind.ts'
import {
  readBackslash,
  readByte,
  readDash,
  readHash,
  readOperator,
  readSlash,
} from './read-mark.ts'
import { readMoney, readNumber, readQuotedBinary, readQuotedHexadecimal } from './read-number.ts'
import { readQuoted } from './read-quoted.ts'
import { readNational, readOracle, readPrefixed, readUnicode } from './read-string.ts'
import type { Scanner, Token } from './token.ts'
import { readBracketed, readTicked, readVariable, readWord } from './read-word.ts'

type Reader = (s: Scanner) => Token | undefined

const skipByte: Reader = (s) => {
  s.position++
  return undefined
}
const controls = Array.from({ length: 0x21 }, (_, code) => String.fromCharCode(code)).join('')

/** Who reads a token that begins with one of these bytes; with any other begins a word. */
const readersByFirst: readonly (readonly [bytes: string, reader: Reader])[] = [
  [`${controls}\x7f\xa0`, skipByte],
  ['.0123456789', readNumber],
  ["'", (s) => readQuoted(s, 1, "'")],
  ['"', (s) => readQuoted(s, 1, '"')],
  ['`', readTicked],
  ['[', readBracketed],
  ['@', readVariable],
  ['$', readMoney],
  ['#', readHash],
  ['-', readDash],
  ['/', readSlash],
  ['\\', readBackslash],
  ['(', (s) => readByte(s, leftParenthesis)],
  [')', (s) => readByte(s, rightParenthesis)],
  ['{', (s) => readByte(s, leftBrace)],
  ['}', (s) => readByte(s, rightBrace)],
  [',', (s) => readByte(s, comma)],
  [';', (s) => readByte(s, semicolon)],
  ['?]', (s) => readByte(s, unknown)],
  ['%+^~', (s) => readByte(s, operator)],
  ['!&*:<=>|', readOperator],
  ['bB', readQuotedBinary],
  ['xX', readQuotedHexadecimal],
  ['eE', readPrefixed],
  ['nN', readNational],
  ['qQ', (s) => readOracle(s)],
  ['uU', readUnicode],
]

const readers: readonly Reader[] = Array.from(
  { length: 256 },
  (_, code) =>
    readersByFirst.find(([bytes]) => bytes.includes(String.fromCharCode(code)))?.[1] ?? readWord,
)

/** The next token, or nothing at the end. */
export const nextToken = (s: Scanner): Token | undefined => {
  const { text } = s
  if (s.position === 0 && s.quote !== '' && text !== '') {
    s.tokens++
    return readQuoted(s, 0, s.quote)
  }
  while (s.position < text.length) {
    const reader = readers[text.charCodeAt(s.position)] ?? readWord
    const read = reader(s)
    if (read === undefined) continue
    s.tokens++
    return read
  }
  return undefined
}
