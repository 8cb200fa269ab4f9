import { makeAutomaton, type Automaton } from './automaton.ts'
import { findGroups, maxVisits } from './capture.ts'
import { parsePattern } from './parse.ts'
import { printPattern, type Printed } from './print.ts'
import { compileProgram, maxInstructions, type Program } from './program.ts'
import { requirementOf, type Requirement } from './requirement.ts'
import { isSimple, sizeOf } from './shape.ts'
import { PatternError, type Parsed } from './syntax.ts'

/** A compiled pattern. Subjects are latin1. */
export type Pattern = {
  readonly test: (subject: string) => boolean
  /** The match and its groups, '' for one that took no part; undefined if there is no match. */
  readonly capture: (subject: string) => readonly string[] | undefined
  /** Both in one, in pieces that others can run between. Gives what captures, or undefined without a match. */
  readonly search: (subject: string) => Generator<undefined, (() => readonly string[]) | undefined>
  readonly requirement: Requirement
  /** Time is linear in the subject. False for look-arounds and back-references, whose subjects are cut short. */
  readonly linear: boolean
}

/** Subjects of patterns that need backtracking are cut to this. Of CRS v4 none needs it, of v3.3 five. */
const maxBacktrackedBytes = 2048
/** Longer subjects of simple patterns go to the automaton, so that quadratic stays under 0.1 ms. */
const maxQuickBytes = 256
/** What TX.0 is cut to when the exact groups would cost too much. */
const approximateBytes = 256

/**
 * Compiles a PCRE pattern. What is regular runs on an automaton of our own, in linear time; the rest runs on V8.
 *
 * @throws PatternError
 */
export const compilePattern = (source: string): Pattern => {
  const parsed = parsePattern(source)
  return parsed.regular ? linearPattern(parsed) : backtrackingPattern(parsed)
}

const linearPattern = (parsed: Parsed): Pattern => {
  const { root } = parsed
  if (sizeOf(root) > maxInstructions) throw new PatternError('the pattern is too large')
  // Made at first use: most patterns are never reached, as their requirement is not met.
  let made: { program: Program; automaton: Automaton } | undefined
  const make = () => {
    const program = compileProgram(parsed)
    return (made = { program, automaton: makeAutomaton(program) })
  }
  const quick = isSimple(root) ? printSafely(parsed) : undefined
  const search = function* (subject: string) {
    const { program, automaton } = made ?? make()
    const end = yield* automaton.findEndSlowly(subject)
    return end < 0 ? undefined : () => groupsAt(program, subject, end)
  }
  return {
    search,
    test: (subject) =>
      quick && subject.length <= maxQuickBytes
        ? quick.regex.test(subject)
        : (made ?? make()).automaton.findEnd(subject) >= 0,
    capture: (subject) => {
      if (quick && subject.length <= maxQuickBytes) return groupsOnV8(quick, subject)
      const { program, automaton } = made ?? make()
      const end = automaton.findEnd(subject)
      return end < 0 ? undefined : groupsAt(program, subject, end)
    },
    requirement: requirementOf(root),
    linear: true,
  }
}

const groupsOnV8 = ({ regex, groups }: Printed, subject: string): readonly string[] | undefined => {
  const found = regex.exec(subject)
  return found ? groups.map((index) => found[index] ?? '') : undefined
}

const groupsAt = (program: Program, subject: string, end: number): readonly string[] => {
  const slots = findGroups(program, subject)
  if (!slots) return groupsNear(program, subject, end)
  return slicesOf(slots, subject)
}

/** Of a subject that is too long for exact groups, those of its part around the end of the match. */
const groupsNear = (program: Program, subject: string, end: number): readonly string[] => {
  const around = Math.floor(maxVisits / program.length / 2) - 1
  const part = subject.slice(Math.max(0, end - around), end + around)
  const slots = around > 0 ? findGroups(program, part) : undefined
  return slots ? slicesOf(slots, part) : [subject.slice(Math.max(0, end - approximateBytes), end)]
}

const slicesOf = (slots: Int32Array, subject: string): readonly string[] => {
  const groups: string[] = []
  for (let i = 0; i < slots.length; i += 2) {
    const [from = -1, to = -1] = [slots[i], slots[i + 1]]
    groups.push(from >= 0 && to >= from ? subject.slice(from, to) : '')
  }
  return groups
}

const backtrackingPattern = (parsed: Parsed): Pattern => {
  const printed = printSafely(parsed)
  const cut = (subject: string) =>
    subject.length > maxBacktrackedBytes ? subject.slice(0, maxBacktrackedBytes) : subject
  // eslint-disable-next-line require-yield -- it is short enough for one piece
  const search = function* (
    subject: string,
  ): Generator<undefined, (() => readonly string[]) | undefined> {
    const part = cut(subject)
    return printed.regex.test(part) ? () => groupsOnV8(printed, part) ?? [] : undefined
  }
  return {
    search,
    test: (subject) => printed.regex.test(cut(subject)),
    capture: (subject) => groupsOnV8(printed, cut(subject)),
    requirement: requirementOf(parsed.root),
    linear: false,
  }
}

const printSafely = (parsed: Parsed): Printed => {
  try {
    return printPattern(parsed)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    throw new PatternError(`not a pattern for V8 either: ${cause.message}`)
  }
}
