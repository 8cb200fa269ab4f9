import type { ByteSet } from './byte-set.ts'
import { PatternError, type Assertion, type Node, type Parsed } from './syntax.ts'

/** What an instruction does. `split` tries `next` first, then `other`. */
export const opcode = { set: 0, split: 1, jump: 2, save: 3, assert: 4, match: 5 } as const

/** A pattern as instructions of a nondeterministic automaton. Parallel arrays, one entry an instruction. */
export type Program = {
  readonly ops: Uint8Array
  readonly next: Int32Array
  readonly other: Int32Array
  /** Of `set`: which of `sets`. Of `save`: the slot. Of `assert`: which of `assertionNames`. */
  readonly argument: Int32Array
  readonly sets: readonly ByteSet[]
  readonly length: number
  readonly groupCount: number
  /** It can only match at the start of the subject. */
  readonly anchored: boolean
  readonly hasAssertions: boolean
}

export const assertionNames = ['start', 'end', 'lineStart', 'lineEnd', 'word', 'notWord'] as const

/** Patterns beyond it would make states that cost too much. The largest of CRS has under 6,000. */
export const maxInstructions = 30_000

/** Compiles a pattern that needs no backtracking. @throws PatternError if it is too large */
export const compileProgram = ({ root, groupCount }: Parsed): Program => {
  const ops: number[] = []
  const next: number[] = []
  const other: number[] = []
  const argument: number[] = []
  const sets: ByteSet[] = []
  const setIndex = new Map<string, number>()
  const indexOfObject = new Map<ByteSet, number>()
  let hasAssertions = false

  const emit = (op: number, value = 0): number => {
    if (ops.length >= maxInstructions) throw new PatternError('the pattern is too large')
    ops.push(op)
    next.push(ops.length)
    other.push(-1)
    argument.push(value)
    return ops.length - 1
  }
  const indexOf = (set: ByteSet): number => {
    const seen = indexOfObject.get(set)
    if (seen !== undefined) return seen
    const key = set.join()
    const index = setIndex.get(key) ?? sets.push(set) - 1
    setIndex.set(key, index)
    indexOfObject.set(set, index)
    return index
  }
  const choose = (at: number, first: number, second: number, greedy: boolean) => {
    next[at] = greedy ? first : second
    other[at] = greedy ? second : first
  }

  const repeat = (item: Node, min: number, max: number, greedy: boolean): void => {
    for (let i = 0; i < min; i++) compile(item)
    if (max < 0) {
      const split = emit(opcode.split)
      compile(item)
      next[emit(opcode.jump)] = split
      choose(split, split + 1, ops.length, greedy)
      return
    }
    const splits: number[] = []
    for (let i = min; i < max; i++) {
      splits.push(emit(opcode.split))
      compile(item)
    }
    for (const split of splits) choose(split, split + 1, ops.length, greedy)
  }
  const alternate = (items: readonly Node[]): void => {
    const jumps: number[] = []
    items.forEach((item, i) => {
      if (i === items.length - 1) return compile(item)
      const split = emit(opcode.split)
      compile(item)
      jumps.push(emit(opcode.jump))
      choose(split, split + 1, ops.length, true)
    })
    for (const jump of jumps) next[jump] = ops.length
  }
  const compile = (node: Node): void => {
    switch (node.kind) {
      case 'set':
        emit(opcode.set, indexOf(node.set))
        return
      case 'concat':
        for (const item of node.items) compile(item)
        return
      case 'alternate':
        alternate(node.items)
        return
      case 'repeat':
        repeat(node.item, node.min, node.max, node.greedy)
        return
      case 'group':
        emit(opcode.save, node.index * 2)
        compile(node.item)
        emit(opcode.save, node.index * 2 + 1)
        return
      case 'assert':
        hasAssertions = true
        emit(opcode.assert, assertionNames.indexOf(node.what))
        return
      case 'look':
      case 'atomic':
      case 'backreference':
        throw new PatternError(`${node.kind} needs backtracking`)
      default:
        node satisfies never
    }
  }
  emit(opcode.save, 0)
  compile(root)
  emit(opcode.save, 1)
  emit(opcode.match)
  return {
    ops: Uint8Array.from(ops),
    next: Int32Array.from(next),
    other: Int32Array.from(other),
    argument: Int32Array.from(argument),
    sets,
    length: ops.length,
    groupCount,
    anchored: startsAtStart(root),
    hasAssertions,
  }
}

const startsAtStart = (node: Node): boolean => {
  switch (node.kind) {
    case 'assert':
      return node.what === 'start'
    case 'concat':
      return node.items[0] !== undefined && startsAtStart(node.items[0])
    case 'alternate':
      return node.items.every(startsAtStart)
    case 'group':
    case 'atomic':
      return startsAtStart(node.item)
    case 'repeat':
      return node.min > 0 && startsAtStart(node.item)
    case 'set':
    case 'look':
    case 'backreference':
      return false
    default:
      return node satisfies never
  }
}

/** Whether an assertion holds between two bytes; -1 stands for the start and the end of the subject. */
export const holds = (what: Assertion, before: number, after: number): boolean => {
  switch (what) {
    case 'start':
      return before < 0
    case 'end':
      return after < 0
    case 'lineStart':
      return before < 0 || before === 10
    case 'lineEnd':
      return after < 0 || after === 10
    case 'word':
      return isWord(before) !== isWord(after)
    case 'notWord':
      return isWord(before) === isWord(after)
    default:
      return what satisfies never
  }
}

export const isWord = (byte: number): boolean =>
  (byte >= 48 && byte <= 57) ||
  (byte >= 65 && byte <= 90) ||
  byte === 95 ||
  (byte >= 97 && byte <= 122)
