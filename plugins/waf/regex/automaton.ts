import { hasByte } from './byte-set.ts'
import { assertionNames, holds, isWord, opcode, type Program } from './program.ts'

/** Transitions kept before all are forgotten: bounds memory whatever the input, at 4 bytes each. */
const maxTransitions = 32_768
const unknown = 0
const dead = -1
const matched = -2

/** Whether a subject matches, and how many bytes it took to know. */
export type Automaton = {
  /** The offset just behind the shortest match that ends first (up to one byte later), or -1. */
  readonly findEnd: (subject: string) => number
  /** The same in pieces, which end when some states had to be made: subjects can be found that need a new one at each byte. */
  readonly findEndSlowly: (subject: string) => Generator<undefined, number>
}

/** Making one takes some microseconds. */
const statesPerPiece = 256

/**
 * Runs a program as a deterministic automaton whose states are made when first needed. Time is linear in the subject
 * for every pattern, which is why rules run on this and not on a backtracking engine.
 */
export const makeAutomaton = (program: Program): Automaton => {
  const { ops, next, other, argument, length: size } = program
  const { classOf, classCount, sampleOf } = byteClasses(program)
  // One column more than there are classes, for the end of the subject.
  const width = classCount + 1
  const maxStates = Math.max(16, Math.floor(maxTransitions / width))

  let table = new Int32Array(width * 8)
  /** What each state waits for: instructions not yet followed, then the byte before. */
  let seedsOf: Int32Array[] = []
  let beforeOf: number[] = []
  let stateOf = new Map<string, number>()

  const onPath = new Int32Array(size)
  let stamp = 0
  const stack = new Int32Array(size * 2 + 2)
  const reached = new Int32Array(size)

  /** A state's number is its row's offset in `table`; row 0 is never used, as 0 means unknown. */
  const stateFor = (seeds: Int32Array, before: number): number => {
    const key = `${before}:${seeds.join()}`
    const known = stateOf.get(key)
    if (known !== undefined) return known
    const state = (seedsOf.length + 1) * width
    if (state + width > table.length) {
      const larger = new Int32Array(table.length * 2)
      larger.set(table)
      table = larger
    }
    seedsOf.push(seeds)
    beforeOf.push(before)
    stateOf.set(key, state)
    return state
  }
  const forgetAll = () => {
    table = new Int32Array(width * 8)
    seedsOf = []
    beforeOf = []
    stateOf = new Map()
  }

  /** Follows everything that takes no byte. Leaves the `set` instructions in `reached`; -1 if `match` is among them. */
  const close = (seeds: Int32Array, before: number, after: number): number => {
    stamp++
    let count = 0
    for (const seed of seeds) {
      let depth = 0
      stack[depth++] = seed
      while (depth > 0) {
        const at = stack[--depth] ?? 0
        if (onPath[at] === stamp) continue
        onPath[at] = stamp
        switch (ops[at]) {
          case opcode.set:
            reached[count++] = at
            break
          case opcode.split:
            stack[depth++] = other[at] ?? 0
            stack[depth++] = next[at] ?? 0
            break
          case opcode.assert: {
            const what = assertionNames[argument[at] ?? 0]
            if (what !== undefined && holds(what, before, after)) stack[depth++] = next[at] ?? 0
            break
          }
          case opcode.match:
            return -1
          default:
            stack[depth++] = next[at] ?? 0
        }
      }
    }
    return count
  }

  const step = (state: number, column: number): number => {
    const row = state / width - 1
    const seeds = seedsOf[row] ?? new Int32Array(0)
    const after = column === classCount ? -1 : (sampleOf[column] ?? 0)
    const count = close(seeds, beforeOf[row] ?? -1, after)
    if (count < 0) return matched
    if (column === classCount) return dead
    const moved: number[] = program.anchored ? [] : [0]
    for (let i = 0; i < count; i++) {
      const at = reached[i] ?? 0
      const set = program.sets[argument[at] ?? 0]
      if (set && hasByte(set, after)) moved.push(next[at] ?? 0)
    }
    if (moved.length === 0) return dead
    return stateFor(Int32Array.from(new Set(moved)).sort(), contextOf(after))
  }
  /** Only what assertions look at tells two states apart. */
  const contextOf = (byte: number): number => {
    if (!program.hasAssertions) return 0
    return isWord(byte) ? 97 : byte === 10 ? 10 : 0
  }

  const startSeeds = Int32Array.of(0)
  let start = stateFor(startSeeds, -1)

  const take = (state: number, column: number): number => {
    const target = step(state, column)
    if (target > 0 && seedsOf.length > maxStates) {
      const row = target / width - 1
      const seeds = seedsOf[row] ?? startSeeds
      const before = beforeOf[row] ?? -1
      forgetAll()
      start = stateFor(startSeeds, -1)
      return stateFor(seeds, before)
    }
    table[state + column] = target
    return target
  }

  const findEnd = (subject: string): number => {
    let state = start
    for (let i = 0; i < subject.length; i++) {
      const column = classOf[subject.charCodeAt(i) & 255] ?? 0
      let target = table[state + column] ?? 0
      if (target <= 0) {
        if (target === unknown) target = take(state, column)
        if (target === dead) return -1
        if (target === matched) return i
      }
      state = target
    }
    let target = table[state + classCount] ?? 0
    if (target === unknown) target = take(state, classCount)
    return target === matched ? subject.length : -1
  }

  /** @returns Like `findEnd`, but undefined if so many states were made that others should have a turn. */
  const advance = (cursor: Cursor, subject: string): number | undefined => {
    let { state } = cursor
    let made = 0
    for (let i = cursor.at; i <= subject.length; i++) {
      const atEnd = i === subject.length
      const column = atEnd ? classCount : (classOf[subject.charCodeAt(i) & 255] ?? 0)
      let target = table[state + column] ?? 0
      if (target === unknown) {
        target = take(state, column)
        made++
      }
      if (target === matched) return i
      if (target === dead || atEnd) return -1
      state = target
      if (made < statesPerPiece) continue
      cursor.state = state
      cursor.at = i + 1
      return undefined
    }
    return -1
  }
  const findEndSlowly = function* (subject: string): Generator<undefined, number> {
    const cursor: Cursor = { state: start, at: 0 }
    for (;;) {
      const end = advance(cursor, subject)
      if (end !== undefined) return end
      const row = cursor.state / width - 1
      const seeds = seedsOf[row] ?? startSeeds
      const before = beforeOf[row] ?? -1
      yield
      // In the pause others may have had all states forgotten.
      cursor.state = stateFor(seeds, before)
    }
  }
  return { findEnd, findEndSlowly }
}

type Cursor = { state: number; at: number }

/** Bytes that no set and no assertion of the program tells apart share a class, so that rows stay short. */
const byteClasses = (program: Program) => {
  const classOf = new Uint8Array(256)
  const sampleOf: number[] = []
  const known = new Map<string, number>()
  for (let byte = 0; byte < 256; byte++) {
    let key = program.hasAssertions ? `${isWord(byte)},${byte === 10},` : ''
    for (const set of program.sets) key += hasByte(set, byte) ? '1' : '0'
    let found = known.get(key)
    if (found === undefined) {
      found = sampleOf.push(byte) - 1
      known.set(key, found)
    }
    classOf[byte] = found
  }
  return { classOf, classCount: sampleOf.length, sampleOf }
}
