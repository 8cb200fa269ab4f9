import { isWord, startsWithWord } from '../word-table.ts'
import { keywords } from './keywords.ts'
import type { Kind } from './kind.ts'
import {
  backslash,
  bareword,
  collate,
  comma,
  comment,
  dot,
  evil,
  expression,
  func,
  group,
  keyword,
  leftBrace,
  leftParenthesis,
  logic,
  number,
  operator,
  rightBrace,
  rightParenthesis,
  semicolon,
  string,
  transactSql,
  type,
  union,
  variable,
} from './kind.ts'
import type { Scanner, Token } from './token.ts'
import { isArithmetic, isUnary, valueOf } from './token.ts'
import { nextToken } from './tokenize.ts'

const maxTokens = 5

/**
 * The tokens so far: those before `left` are settled, those from `left` to `next` are looked at. One more than the
 * fingerprint has is read, to judge the last of it.
 */
type Window = {
  readonly tokens: Token[]
  left: number
  next: number
  more: boolean
  /** The comment that was read last, if nothing came after it. */
  lastComment: Token | undefined
}

/** What a rule did: `again` from the (new) left, `on` to the next rules, or `evil`: give up. */
type Outcome = 'again' | 'on' | 'evil'

/** Forgets the last `count` tokens and looks again from `left`. */
const drop = (w: Window, count: number, left: number): Outcome => {
  w.next -= count
  w.left = left
  return 'again'
}

const isAny = (token: Token, kinds: Kind): boolean => (token.kind & kinds) !== 0

const word: Kind = keyword | bareword | operator | union | func | expression | transactSql | type

/** Makes one token of two whose words are a phrase: `UNION ALL`, `NOT IN`. */
const merge = (a: Token, b: Token): boolean => {
  if (!isAny(a, word) || !isAny(b, word | logic)) return false
  const kind = keywords.findPhrase(a, b)
  if (kind === undefined) return false
  a.kind = kind
  a.text = `${valueOf(a)} ${valueOf(b)}`
  a.start = 0
  a.end = a.text.length
  return true
}

/** Words that are variables or column names, but functions before a parenthesis. */
const functionsToo = [
  'USER_ID',
  'USER_NAME',
  'DATABASE',
  'PASSWORD',
  'USER',
  'CURRENT_USER',
  'CURRENT_DATE',
  'CURRENT_TIME',
  'CURRENT_TIMESTAMP',
  'LOCALTIME',
  'LOCALTIMESTAMP',
]

/** The rules for two tokens, of which the first that fits decides. */
const foldPair = (w: Window): Outcome => {
  const { tokens, left } = w
  const a = tokens[left]
  const b = tokens[left + 1]
  if (a === undefined || b === undefined) return 'on'

  // 'a' 'b' is one string, and ;; is ;
  if (a.kind === b.kind && isAny(a, string | semicolon)) return drop(w, 1, left)
  if (isAny(a, operator | logic) && (b.kind === type || isUnary(b))) return drop(w, 1, 0)
  if (a.kind === leftParenthesis && isUnary(b)) return drop(w, 1, Math.max(0, left - 1))
  if (merge(a, b)) return drop(w, 1, Math.max(0, left - 1))

  switch (a.kind) {
    case semicolon:
      // IF is a function, except in Transact-SQL, where it begins a statement.
      if (b.kind !== func || !startsWithWord(b, 'IF')) break
      b.kind = transactSql
      return 'again'

    case bareword:
    case variable:
      if (b.kind !== leftParenthesis || !functionsToo.some((name) => isWord(a, name))) break
      a.kind = func
      return 'again'

    case keyword:
      if (!isWord(a, 'IN') && !isWord(a, 'NOT IN')) break
      a.kind = b.kind === leftParenthesis ? operator : bareword
      return 'again'

    case operator:
      if (!isWord(a, 'LIKE') && !isWord(a, 'NOT LIKE')) break
      if (b.kind === leftParenthesis) a.kind = func
      return 'on'

    case type:
      if (!isAny(b, bareword | number | type | leftParenthesis | func | variable | string)) break
      tokens[left] = b
      return drop(w, 1, 0)

    case collate:
      if (b.kind !== bareword) break
      // There are too many collations to list; their names have an underscore.
      if (valueOf(b).includes('_')) {
        b.kind = type
        w.left = 0
      }
      return 'on'

    case backslash:
      // Transact-SQL reads \%1 as 0 % 1, and \1 as 1.
      if (isArithmetic(b)) {
        a.kind = number
        return drop(w, 0, 0)
      }
      tokens[left] = b
      return drop(w, 1, 0)

    case leftParenthesis:
    case rightParenthesis:
      if (a.kind === b.kind) return drop(w, 1, 0)
      break

    case leftBrace:
      if (b.kind !== bareword) break
      // ODBC's {word expression} is the expression.
      if (b.end > b.start) return drop(w, 2, 0)
      // MySQL takes {``.``.id}: too rare to read, so it is evil.
      b.kind = evil
      return 'evil'
  }
  return b.kind === rightBrace ? drop(w, 1, 0) : 'on'
}

/** The rules for an operator or a comma between two values. */
const foldBetween = (w: Window, a: Token, b: Token, c: Token): Outcome => {
  const value = number | bareword | variable | string
  if (b.kind === comma) return isAny(a, value) && isAny(c, value) ? drop(w, 2, 0) : 'on'
  if (isAny(a, number | bareword) && isAny(c, number | bareword)) return drop(w, 2, 0)
  if (a.kind === variable && isAny(c, variable | number | bareword)) return drop(w, 2, 0)
  // A cast: x::type
  return isAny(a, value) && valueOf(b) === '::' && c.kind === type ? drop(w, 2, 0) : 'on'
}

/** The rules for a unary operator in the middle, which means nothing there. */
const foldUnary = (w: Window, a: Token, c: Token): Outcome => {
  const { tokens, left } = w
  const value = number | bareword | variable | string
  const isBeforeGroup = isAny(a, expression | group | comma) && c.kind === leftParenthesis
  const isBeforeValue = isAny(a, keyword | expression | group) && isAny(c, value | func)
  if (isBeforeGroup || isBeforeValue || (a.kind === comma && c.kind === func)) {
    tokens[left + 1] = c
    return drop(w, 1, 0)
  }
  if (a.kind === comma && isAny(c, value)) {
    // `, -1` is `, 1`, and one token back it can be folded further: `1, -1` is `1`.
    tokens[left + 1] = c
    return drop(w, 3, 0)
  }
  return 'on'
}

/** The rules for three tokens. No two of them fit the same three. */
const foldTriple = (w: Window): Outcome => {
  const { tokens, left } = w
  const a = tokens[left]
  const b = tokens[left + 1]
  const c = tokens[left + 2]
  if (a === undefined || b === undefined || c === undefined) return 'on'

  if (a.kind === operator && b.kind !== leftParenthesis && c.kind === operator) return drop(w, 2, 0)
  if (a.kind === logic && c.kind === logic) return drop(w, 2, 0)
  if (isAny(b, operator | comma) && foldBetween(w, a, b, c) === 'again') return 'again'
  if (isUnary(b)) return foldUnary(w, a, c)
  if (b.kind === dot && c.kind === bareword) {
    if (a.kind === bareword) return drop(w, 2, 0)
    if (a.kind === expression) {
      tokens[left + 1] = c
      return drop(w, 1, 0)
    }
  }
  // USER() is a function, USER(x) is not.
  if (
    a.kind === func &&
    b.kind === leftParenthesis &&
    c.kind !== rightParenthesis &&
    isWord(a, 'USER')
  )
    a.kind = bareword
  return 'on'
}

/** `1+(1)…` and the like, which would fill a fingerprint and say nothing. */
const isFiller = ([a, b, c, d, e]: readonly Token[]): boolean => {
  if (!a || !b || !c || !d || !e || !isAny(a, number | bareword)) return false
  if (c.kind === leftParenthesis && e.kind === rightParenthesis)
    return a.kind === number
      ? isAny(b, operator | comma) && d.kind === number
      : b.kind === operator && isAny(d, number | bareword)
  return (
    b.kind === rightParenthesis &&
    d.kind === leftParenthesis &&
    e.kind === a.kind &&
    c.kind === (a.kind === number ? comma : operator)
  )
}

/** Reads until `count` tokens are looked at, and says whether there are as many. */
const look = (s: Scanner, w: Window, count: number): boolean => {
  while (w.more && w.next <= maxTokens && w.next - w.left < count) {
    const read = nextToken(s)
    if (read === undefined) w.more = false
    else if (read.kind === comment) w.lastComment = read
    else {
      w.lastComment = undefined
      w.tokens[w.next++] = read
    }
  }
  return w.next - w.left >= count
}

/** Settles what is looked at if there are no more tokens to fold it with. */
const settle = (w: Window): void => {
  w.left = w.next
}

/**
 * Reads the text and folds what means the same to a database, until five tokens are left that cannot be folded, or the
 * text ends. Comments are dropped, but for one at the end.
 *
 * @returns At most five tokens (and an evil one, which may be the sixth); none if there is nothing but comments,
 *   parentheses, types and unary operators.
 */
export const fold = (s: Scanner): readonly Token[] => {
  let first = nextToken(s)
  while (first && (isAny(first, comment | leftParenthesis | type) || isUnary(first)))
    first = nextToken(s)
  if (first === undefined) return []

  const w: Window = { tokens: [first], left: 0, next: 1, more: true, lastComment: undefined }
  for (;;) {
    if (w.next >= maxTokens && isFiller(w.tokens)) {
      const extra = w.next > maxTokens ? w.tokens[maxTokens] : undefined
      if (extra !== undefined) w.tokens[1] = extra
      w.next = extra === undefined ? 1 : 2
      w.left = 0 // as in C; libinjection-go keeps what is first
    }
    if (!w.more || w.left >= maxTokens) break
    if (!look(s, w, 2)) {
      settle(w)
      continue
    }
    const outcome = foldPair(w)
    if (outcome === 'evil') return w.tokens.slice(0, w.left + 2)
    if (outcome === 'again') continue
    if (!look(s, w, 3)) {
      settle(w)
      continue
    }
    if (foldTriple(w) === 'on') w.left++
  }

  const folded = w.tokens.slice(0, Math.min(w.next, maxTokens))
  if (w.lastComment !== undefined && folded.length < maxTokens) folded.push(w.lastComment)
  return folded
}
