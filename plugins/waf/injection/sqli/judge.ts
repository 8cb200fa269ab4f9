import { isWord } from '../word-table.ts'
import { isInjection } from './keywords.ts'
import type { Scanner, Token } from './token.ts'

/** Fingerprints of two short phrases about nothing, `sexy and 17`, unless something was folded away in them. */
const isInnocentPhrase = (fingerprint: string): boolean => {
  switch (fingerprint) {
    case 's&n':
    case 'n&1':
    case '1&1':
    case '1&v':
    case '1&s':
      return true
    default:
      return false
  }
}

/**
 * A number and a comment: `1234-ABCDefgh--` is often a token in base64, `1234--` is not. The number is looked for where
 * the text begins, as libinjection does.
 */
const isNumberThenComment = ({ text, tokens }: Scanner, number: Token): boolean => {
  if (tokens > 2) return true
  const after = number.value.length
  return (
    text.charCodeAt(after) <= 0x20 || text.startsWith('/*', after) || text.startsWith('--', after)
  )
}

const isPairInjection = (s: Scanner, first: Token, second: Token): boolean => {
  if (second.kind === 'U') return s.tokens !== 2
  const mark = second.value[0]
  if (mark === '#') return false
  if (first.kind === 'n' && second.kind === 'c' && mark !== '/') return false
  if (first.kind === '1' && second.kind === 'c')
    return mark === '/' || isNumberThenComment(s, first)
  // Many people write -- in plain text, so it must be the end of it.
  return !(second.value.length > 2 && mark === '-')
}

const isTripleInjection = (
  s: Scanner,
  fingerprint: string,
  [first, second, third]: readonly Token[],
): boolean => {
  if (first === undefined || second === undefined || third === undefined) return true
  // …foo' + 'bar…: we began inside a string, and end inside one.
  if (fingerprint === 'sos' || fingerprint === 's&s')
    return first.open === '' && third.close === '' && first.close === third.open
  if (isInnocentPhrase(fingerprint)) return s.tokens !== 3
  // Of keywords between two others only INTO OUTFILE and INTO DUMPFILE mean harm.
  if (second.kind === 'k')
    return second.value.length >= 5 && isWord(second.value.slice(0, 4), 'INTO')
  return true
}

/** Whether the fingerprint of what was read is one of an injection, and not one of those that innocent texts have too. */
export const judge = (s: Scanner, fingerprint: string, tokens: readonly Token[]): boolean => {
  if (!isInjection(fingerprint)) return false
  const [first, second] = tokens
  // SQL Server keeps statements with this word out of its log, wherever it is in them.
  if (fingerprint.length > 1 && fingerprint.endsWith('c') && s.text.includes('sp_password'))
    return true
  if (fingerprint.length === 2 && first !== undefined && second !== undefined)
    return isPairInjection(s, first, second)
  if (fingerprint.length === 3) return isTripleInjection(s, fingerprint, tokens)
  return true
}
