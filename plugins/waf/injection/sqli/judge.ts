import { startsWithWord } from '../word-table.ts'
import { isInjection } from './keywords.ts'
import {
  bareword,
  comment,
  evil,
  keyword,
  logic,
  number,
  operator,
  string,
  union,
  variable,
} from './kind.ts'
import type { Scanner, Token } from './token.ts'

const lengthOf = ({ start, end }: Token): number => end - start

/**
 * A number and a comment: `1234-ABCDefgh--` is often a token in base64, `1234--` is not. The number is looked for where
 * the text begins, as libinjection does.
 */
const isNumberThenComment = ({ text, tokens }: Scanner, first: Token): boolean => {
  if (tokens > 2) return true
  const after = lengthOf(first)
  return (
    text.charCodeAt(after) <= 0x20 || text.startsWith('/*', after) || text.startsWith('--', after)
  )
}

const isPairInjection = (s: Scanner, first: Token, second: Token): boolean => {
  if (second.kind === union) return s.tokens !== 2
  const mark = second.text[second.start]
  if (mark === '#') return false
  if (first.kind === bareword && second.kind === comment && mark !== '/') return false
  if (first.kind === number && second.kind === comment)
    return mark === '/' || isNumberThenComment(s, first)
  // Many people write -- in plain text, so it must be the end of it.
  return !(lengthOf(second) > 2 && mark === '-')
}

/** Two short phrases about nothing, `sexy and 17`: s&n, n&1, 1&1, 1&v, 1&s. */
const isInnocentPhrase = (first: Token, second: Token, third: Token): boolean => {
  if (second.kind !== logic) return false
  if (first.kind === string) return third.kind === bareword
  if (first.kind === bareword) return third.kind === number
  return first.kind === number && (third.kind & (number | variable | string)) !== 0
}

const isTripleInjection = (s: Scanner, first: Token, second: Token, third: Token): boolean => {
  // …foo' + 'bar…: we began inside a string, and end inside one.
  if (first.kind === string && third.kind === string && (second.kind & (operator | logic)) !== 0)
    return first.open === '' && third.close === '' && first.close === third.open
  // Nothing was folded away in it.
  if (isInnocentPhrase(first, second, third) && s.tokens === 3) return false
  // Of keywords between two others only INTO OUTFILE and INTO DUMPFILE mean harm.
  return second.kind !== keyword || (lengthOf(second) > 4 && startsWithWord(second, 'INTO'))
}

/** Whether the tokens are those of an injection, and not those that innocent texts have too. */
export const judge = (s: Scanner, tokens: readonly Token[]): boolean => {
  if (tokens.some(({ kind }) => kind === evil)) return true
  if (!isInjection(tokens)) return false
  const [first, second, third] = tokens
  const last = tokens.at(-1)
  if (first === undefined || second === undefined || last === undefined) return true
  // SQL Server keeps statements with this word out of its log, wherever it is in them.
  if (last.kind === comment && s.text.includes('sp_password')) return true
  if (third === undefined) return isPairInjection(s, first, second)
  if (tokens.length === 3) return isTripleInjection(s, first, second, third)
  return true
}
