import {
  anyByte,
  bytesOf,
  complement,
  digits,
  foldCase,
  horizontalSpaces,
  posixClasses,
  setOf,
  setOfByte,
  spaces,
  union,
  wordBytes,
  type ByteSet,
} from './byte-set.ts'
import { PatternError, type Node, type Parsed } from './syntax.ts'

const maxDepth = 200
const maxRepeat = 65_535
const noNewline = complement(setOfByte(10))

const simpleEscapes: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, a: 7, e: 27 }
const classEscapes: Readonly<Record<string, ByteSet>> = {
  d: digits,
  D: complement(digits),
  w: wordBytes,
  W: complement(wordBytes),
  s: spaces,
  S: complement(spaces),
  h: horizontalSpaces,
  H: complement(horizontalSpaces),
  v: setOf([10, 13], [133, 133]),
  V: complement(setOf([10, 13], [133, 133])),
  N: noNewline,
}

type Flags = {
  readonly ignoreCase: boolean
  readonly multiline: boolean
  readonly dotAll: boolean
  readonly extended: boolean
}

/**
 * Reads a PCRE pattern whose subject is bytes. As in ModSecurity v2 the options DOTALL and DOLLAR_ENDONLY are on.
 *
 * @throws PatternError for a syntax error, and for what neither automaton nor V8 can do (conditionals, recursion, `\p`, `\K`).
 */
export const parsePattern = (source: string): Parsed => {
  let at = 0
  let groupCount = 0
  let regular = true
  const names = new Map<string, number>()

  const fail = (what: string): never => {
    throw new PatternError(`${what} at ${JSON.stringify(source.slice(at, at + 20))}`)
  }
  const take = (text: string): boolean => {
    if (!source.startsWith(text, at)) return false
    at += text.length
    return true
  }
  const takeMatch = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = at
    const found = pattern.exec(source)
    if (found) at = pattern.lastIndex
    return found ?? undefined
  }
  const setNode = (set: ByteSet, flags: Flags): Node => ({
    kind: 'set',
    set: flags.ignoreCase ? foldCase(set) : set,
  })

  /** After a backslash: a byte or a class, the same inside and outside brackets. */
  const escape = (): number | ByteSet => {
    const letter = source[at] ?? fail('backslash at the end')
    at++
    const set = Object.hasOwn(classEscapes, letter) ? classEscapes[letter] : undefined
    if (set) return set
    if (Object.hasOwn(simpleEscapes, letter)) return simpleEscapes[letter] ?? 0
    if (letter === 'x') {
      const braced = takeMatch(/\{([0-9A-Fa-f]+)\}/y)
      const byte = Number.parseInt(braced?.[1] ?? takeMatch(/[0-9A-Fa-f]{0,2}/y)?.[0] ?? '', 16)
      if (byte > 255) fail('a code point above one byte')
      return Number.isNaN(byte) ? 0 : byte
    }
    if (letter === 'c') {
      const control = (source[at] ?? fail('\\c without a letter')).toUpperCase().charCodeAt(0)
      at++
      return (control ^ 64) & 255
    }
    if (letter === 'o') {
      const octal = takeMatch(/\{([0-7]+)\}/y) ?? fail('\\o without braces')
      return Number.parseInt(octal?.[1] ?? '0', 8) & 255
    }
    if (letter >= '0' && letter <= '7') {
      const octal = letter + (takeMatch(/[0-7]{0,2}/y)?.[0] ?? '')
      return Number.parseInt(octal, 8) & 255
    }
    if (/[A-Za-z]/.test(letter)) {
      at -= 2
      fail('an escape that is not supported')
    }
    return letter.charCodeAt(0)
  }

  const bracketClass = (flags: Flags): Node => {
    const negated = take('^')
    const parts: ByteSet[] = []
    for (let first = true; first || source[at] !== ']'; first = false) {
      if (at >= source.length) fail('a class without its ]')
      const posix = takeMatch(/\[:(\^?)([a-z]+):\]/y)
      if (posix) {
        const set = posixClasses[posix[2] ?? ''] ?? fail(`no class ${posix[0]}`)
        parts.push(posix[1] ? complement(set) : set)
        continue
      }
      if (take('\\Q')) {
        const end = source.indexOf('\\E', at)
        for (const char of source.slice(at, end < 0 ? undefined : end))
          parts.push(setOfByte(char.charCodeAt(0)))
        at = end < 0 ? source.length : end + 2
        continue
      }
      if (take('\\E')) continue
      const from = member()
      if (typeof from !== 'number') {
        parts.push(from)
        continue
      }
      if (source[at] !== '-' || source[at + 1] === ']' || at + 1 >= source.length) {
        parts.push(setOfByte(from))
        continue
      }
      at++
      const to = member()
      if (typeof to !== 'number') parts.push(setOfByte(from), setOfByte(45), to)
      else if (to < from) fail('a range out of order')
      else parts.push(setOf([from, to]))
    }
    at++
    const set = flags.ignoreCase ? foldCase(union(...parts)) : union(...parts)
    return { kind: 'set', set: negated ? complement(set) : set }
  }
  const member = (): number | ByteSet => {
    if (!take('\\')) return source.charCodeAt(at++) & 255
    if (take('b')) return 8
    return escape()
  }

  const atomEscape = (flags: Flags): Node => {
    if (take('b')) return { kind: 'assert', what: 'word' }
    if (take('B')) return { kind: 'assert', what: 'notWord' }
    if (take('A')) return { kind: 'assert', what: 'start' }
    if (take('z')) return { kind: 'assert', what: 'end' }
    if (take('Z'))
      return {
        kind: 'alternate',
        items: [{ kind: 'assert', what: 'end' }, look(sequenceOf(10), true, false)],
      }
    if (take('R'))
      return {
        kind: 'alternate',
        items: [sequenceOf(13, 10), { kind: 'set', set: setOf([10, 13], [133, 133]) }],
      }
    const named = takeMatch(/k(?:\{(\w+)\}|<(\w+)>|'(\w+)')/y)
    if (named) {
      const index = names.get(named[1] ?? named[2] ?? named[3] ?? '')
      return backreference(index ?? fail('a reference to a group that is not there'))
    }
    const numbered = takeMatch(/g?\{(\d+)\}|g(\d+)|([1-9]\d?)/y)
    if (numbered) return backreference(Number(numbered[1] ?? numbered[2] ?? numbered[3]))
    const found = escape()
    return setNode(typeof found === 'number' ? setOfByte(found) : found, flags)
  }
  const sequenceOf = (...bytes: readonly number[]): Node => ({
    kind: 'concat',
    items: bytes.map((byte) => ({ kind: 'set', set: setOfByte(byte) })),
  })
  const backreference = (index: number): Node => {
    regular = false
    return { kind: 'backreference', index }
  }
  const look = (item: Node, ahead: boolean, negated: boolean): Node => {
    regular = false
    return { kind: 'look', item, ahead, negated }
  }
  const atomic = (item: Node): Node => {
    regular = false
    return { kind: 'atomic', item }
  }

  const group = (flags: Flags, depth: number): Node | Flags => {
    const close = (node: Node): Node => {
      if (!take(')')) fail('a group without its )')
      return node
    }
    const body = (inner = flags): Node => close(alternation(inner, depth + 1))
    if (!take('?')) {
      const index = ++groupCount
      return { kind: 'group', index, item: body() }
    }
    if (take('#')) {
      const end = source.indexOf(')', at)
      if (end < 0) fail('a comment without its )')
      at = end + 1
      return { kind: 'concat', items: [] }
    }
    if (take(':')) return body()
    if (take('=')) return look(body(), true, false)
    if (take('!')) return look(body(), true, true)
    if (take('<=')) return look(body(), false, false)
    if (take('<!')) return look(body(), false, true)
    if (take('>')) return atomic(body())
    const name = takeMatch(/(?:P?<(\w+)>|'(\w+)')/y)
    if (name) {
      const index = ++groupCount
      names.set(name[1] ?? name[2] ?? '', index)
      return { kind: 'group', index, item: body() }
    }
    const options = takeMatch(/([imsxU]*)(?:-([imsx]+))?([:)])/y)
    if (!options || options[1]?.includes('U')) return fail('a group that is not supported')
    const inner = withOptions(flags, options[1] ?? '', options[2] ?? '')
    return options[3] === ')' ? inner : body(inner)
  }
  const withOptions = (flags: Flags, on: string, off: string): Flags => {
    const choose = (letter: string, before: boolean) =>
      on.includes(letter) || (before && !off.includes(letter))
    return {
      ignoreCase: choose('i', flags.ignoreCase),
      multiline: choose('m', flags.multiline),
      dotAll: choose('s', flags.dotAll),
      extended: choose('x', flags.extended),
    }
  }

  const quantified = (item: Node, flags: Flags): Node => {
    let node = item
    for (;;) {
      if (flags.extended) takeMatch(/(?:\s|#[^\n]*\n?)*/y)
      const found = takeMatch(/([*+?])|\{(\d{1,5})(,?)(\d{0,5})\}/y)
      if (!found) return node
      const [, sign, low, comma, high] = found
      const min = sign ? (sign === '+' ? 1 : 0) : Number(low)
      const max = sign ? (sign === '?' ? 1 : -1) : !comma ? min : high ? Number(high) : -1
      if ((max >= 0 && max < min) || min > maxRepeat || max > maxRepeat)
        fail('a repeat out of order')
      const lazy = take('?')
      const possessive = !lazy && take('+')
      const repeat: Node = { kind: 'repeat', item: node, min, max, greedy: !lazy }
      node = possessive ? atomic(repeat) : repeat
    }
  }

  const alternation = (outer: Flags, depth: number): Node => {
    if (depth > maxDepth) fail('groups nested too deep')
    let flags = outer
    const branches: Node[] = []
    let items: Node[] = []
    const endBranch = () => {
      const [only] = items
      branches.push(items.length === 1 && only ? only : { kind: 'concat', items })
      items = []
    }
    while (at < source.length && source[at] !== ')') {
      if (take('|')) {
        endBranch()
        continue
      }
      if (flags.extended && takeMatch(/(?:\s|#[^\n]*(?:\n|$))+/y)) continue
      if (take('\\Q')) {
        const end = source.indexOf('\\E', at)
        for (const char of source.slice(at, end < 0 ? undefined : end))
          items.push(setNode(setOfByte(char.charCodeAt(0) & 255), flags))
        at = end < 0 ? source.length : end + 2
        // A repeat behind it is of its last character.
        const last = items.pop()
        if (last) items.push(quantified(last, flags))
        continue
      }
      if (take('\\E')) continue
      if (take('(')) {
        const made = group(flags, depth)
        // Options without a body, `(?i)`, hold to the end of the group that they stand in.
        if ('kind' in made) items.push(quantified(made, flags))
        else flags = made
        continue
      }
      items.push(quantified(atom(flags), flags))
    }
    endBranch()
    const [only] = branches
    return branches.length === 1 && only ? only : { kind: 'alternate', items: branches }
  }
  const atom = (flags: Flags): Node => {
    if (take('\\')) return atomEscape(flags)
    if (take('[')) return bracketClass(flags)
    if (take('.')) return { kind: 'set', set: flags.dotAll ? anyByte : noNewline }
    if (take('^')) return { kind: 'assert', what: flags.multiline ? 'lineStart' : 'start' }
    if (take('$')) return { kind: 'assert', what: flags.multiline ? 'lineEnd' : 'end' }
    const char = source[at] ?? ''
    if ('*+?'.includes(char)) fail('nothing to repeat')
    if (char.charCodeAt(0) > 255) fail('a character above one byte')
    at++
    return setNode(setOfByte(char.charCodeAt(0)), flags)
  }

  const flags: Flags = { ignoreCase: false, multiline: false, dotAll: true, extended: false }
  const root = alternation(flags, 0)
  if (at < source.length) fail('a ) without its (')
  return { root, groupCount, regular }
}

/** The one byte of a set that has only one. */
export const onlyByte = (set: ByteSet): number | undefined => {
  const bytes = bytesOf(set)
  return bytes.length === 1 ? bytes[0] : undefined
}
