import { isWord } from '../word-table.ts'
import { keywords } from './keywords.ts'
import { nextToken } from './tokenize.ts'
import type { Kind, Scanner, Token } from './token.ts'
import { isArithmetic, isUnary } from './token.ts'

export const maxTokens = 5

/**
 * The tokens so far: those before `left` are settled, those from `left` to `next` are looked at. One more than the
 * fingerprint has is read, to judge the last of it.
 */
type Window = { readonly tokens: Token[]; left: number; next: number }

/** What a rule did: `again` from the (new) left, go on to the next rules, or give up on an evil token. */
type Outcome = 'again' | 'on' | 'evil'

/** Forgets the last `count` tokens and looks again from `left`. */
const drop = (w: Window, count: number, left: number): Outcome => {
  w.next -= count
  w.left = left
  return 'again'
}

const beginsPhrase = (kind: Kind): boolean => {
  switch (kind) {
    case 'k':
    case 'n':
    case 'o':
    case 'U':
    case 'f':
    case 'E':
    case 'T':
    case 't':
      return true
    default:
      return false
  }
}

/** Makes one token of two whose words are a phrase: `UNION ALL`, `NOT IN`. */
const merge = (a: Token, b: Token): boolean => {
  if (!beginsPhrase(a.kind) || !(beginsPhrase(b.kind) || b.kind === '&')) return false
  const kind = keywords.findPhrase(a.value, b.value)
  if (kind === undefined) return false
  a.kind = kind
  a.value = `${a.value} ${b.value}`
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

const isOneOf = (kind: Kind, kinds: string): boolean => kinds.includes(kind)

const foldPair = (w: Window): Outcome => {
  const { tokens, left } = w
  const a = tokens[left]
  const b = tokens[left + 1]
  if (a === undefined || b === undefined) return 'on'

  // 'a' 'b' is one string, and ;; is ;
  if (a.kind === b.kind && (a.kind === 's' || a.kind === ';')) return drop(w, 1, left)
  if ((a.kind === 'o' || a.kind === '&') && (b.kind === 't' || isUnary(b))) return drop(w, 1, 0)
  if (a.kind === '(' && isUnary(b)) return drop(w, 1, Math.max(0, left - 1))
  if (merge(a, b)) return drop(w, 1, Math.max(0, left - 1))

  if (a.kind === ';' && b.kind === 'f' && isWord(b.value.slice(0, 2), 'IF')) {
    // A function, except in Transact-SQL, where it begins a statement.
    b.kind = 'T'
    return 'again'
  }
  if ((a.kind === 'n' || a.kind === 'v') && b.kind === '(') {
    if (functionsToo.some((word) => isWord(a.value, word))) {
      a.kind = 'f'
      return 'again'
    }
    return 'on'
  }
  if (a.kind === 'k' && (isWord(a.value, 'IN') || isWord(a.value, 'NOT IN'))) {
    a.kind = b.kind === '(' ? 'o' : 'n'
    return 'again'
  }
  if (a.kind === 'o' && (isWord(a.value, 'LIKE') || isWord(a.value, 'NOT LIKE'))) {
    if (b.kind === '(') a.kind = 'f'
    return 'on'
  }
  if (a.kind === 't' && isOneOf(b.kind, 'n1t(fvs')) {
    tokens[left] = b
    return drop(w, 1, 0)
  }
  if (a.kind === 'A' && b.kind === 'n') {
    // There are too many collations to list; their names have an underscore.
    if (b.value.includes('_')) {
      b.kind = 't'
      w.left = 0
    }
    return 'on'
  }
  if (a.kind === '\\') {
    // Transact-SQL reads \%1 as 0 % 1, and \1 as 1.
    if (isArithmetic(b)) {
      a.kind = '1'
      return drop(w, 0, 0)
    }
    tokens[left] = b
    return drop(w, 1, 0)
  }
  if (a.kind === b.kind && (a.kind === '(' || a.kind === ')')) return drop(w, 1, 0)
  if (a.kind === '{' && b.kind === 'n') {
    // MySQL takes {``.``.id}: too rare to read, so it is evil. ODBC's {word expression} is the expression.
    if (b.value === '') {
      b.kind = 'X'
      return 'evil'
    }
    return drop(w, 2, 0)
  }
  if (b.kind === '}') return drop(w, 1, 0)
  return 'on'
}

const foldTriple = (w: Window): Outcome => {
  const { tokens, left } = w
  const a = tokens[left]
  const b = tokens[left + 1]
  const c = tokens[left + 2]
  if (a === undefined || b === undefined || c === undefined) return 'on'

  if (b.kind === 'o') {
    if (isOneOf(a.kind, '1n') && isOneOf(c.kind, '1n')) return drop(w, 2, 0)
    if (a.kind === 'v' && isOneOf(c.kind, 'v1n')) return drop(w, 2, 0)
    // A cast: x::type
    if (isOneOf(a.kind, 'n1vs') && b.value === '::' && c.kind === 't') return drop(w, 2, 0)
  }
  if (a.kind === 'o' && b.kind !== '(' && c.kind === 'o') return drop(w, 2, 0)
  if (a.kind === '&' && c.kind === '&') return drop(w, 2, 0)
  if (b.kind === ',' && isOneOf(a.kind, 'n1sv') && isOneOf(c.kind, '1nsv')) return drop(w, 2, 0)

  if (isUnary(b)) {
    if (isOneOf(a.kind, 'EB,') && c.kind === '(') {
      tokens[left + 1] = c
      return drop(w, 1, 0)
    }
    if (isOneOf(a.kind, 'kEB') && isOneOf(c.kind, '1nvsf')) {
      tokens[left + 1] = c
      return drop(w, 1, 0)
    }
    if (a.kind === ',') {
      if (isOneOf(c.kind, '1nvs')) {
        // `, -1` is `, 1`, and one token back it can be folded further: `1, -1` is `1`.
        tokens[left + 1] = c
        return drop(w, 3, 0)
      }
      if (c.kind === 'f') {
        tokens[left + 1] = c
        return drop(w, 1, 0)
      }
    }
  }

  if (b.kind === '.' && c.kind === 'n') {
    if (a.kind === 'n') return drop(w, 2, 0)
    if (a.kind === 'E') {
      tokens[left + 1] = c
      return drop(w, 1, 0)
    }
  }
  // USER() is a function, USER(x) is not.
  if (a.kind === 'f' && b.kind === '(' && c.kind !== ')' && isWord(a.value, 'USER')) a.kind = 'n'
  return 'on'
}

/** `1+(1)…` and the like, which would fill a fingerprint and say nothing. */
const isFiller = (tokens: readonly Token[]): boolean => {
  switch (tokens.slice(0, maxTokens).map(({ kind }) => kind).join('')) {
    case '1o(1)':
    case '1,(1)':
    case 'no(n)':
    case 'no(1)':
    case '1),(1':
    case 'n)o(n':
      return true
    default:
      return false
  }
}

/**
 * Reads the text and folds what means the same to a database, until five tokens are left that cannot be folded, or the
 * text ends. Comments are dropped, but for one at the end.
 *
 * @returns At most five tokens; none if there is nothing but comments, parentheses, types and unary operators.
 */
export const fold = (s: Scanner): readonly Token[] => {
  let first = nextToken(s)
  while (first && (first.kind === 'c' || first.kind === '(' || first.kind === 't' || isUnary(first)))
    first = nextToken(s)
  if (first === undefined) return []

  const w: Window = { tokens: [first], left: 0, next: 1 }
  let more = true
  let lastComment: Token | undefined

  /** Reads until `count` tokens are looked at, and says whether there are as many. */
  const look = (count: number): boolean => {
    while (more && w.next <= maxTokens && w.next - w.left < count) {
      const read = nextToken(s)
      more = read !== undefined
      if (read === undefined) break
      lastComment = read.kind === 'c' ? read : undefined
      if (read.kind !== 'c') w.tokens[w.next++] = read
    }
    return w.next - w.left >= count
  }

  for (;;) {
    if (w.next >= maxTokens && isFiller(w.tokens)) {
      const extra = w.next > maxTokens ? w.tokens[maxTokens] : undefined
      if (extra !== undefined) w.tokens[1] = extra
      w.next = extra === undefined ? 1 : 2
      w.left = 0
    }
    if (!more || w.left >= maxTokens) break
    if (!look(2)) {
      w.left = w.next
      continue
    }
    const outcome = foldPair(w)
    if (outcome === 'evil') return w.tokens.slice(0, w.left + 2)
    if (outcome === 'again') continue
    if (!look(3)) {
      w.left = w.next
      continue
    }
    if (foldTriple(w) === 'on') w.left++
  }

  const folded = w.tokens.slice(0, Math.min(w.next, maxTokens))
  if (lastComment !== undefined && folded.length < maxTokens) folded.push(lastComment)
  return folded
}
