import {
  bitOfByte,
  classesIn,
  commonClasses,
  lowerClass,
  upperClass,
} from '../engine/byte-classes.ts'
import { bytesOf, foldCase, type ByteSet } from './byte-set.ts'
import type { Node } from './syntax.ts'

/**
 * What a value must have for an operator to match it: cheap to look for, and most values lack it. Never says no to a
 * value that would match.
 */
export type Requirement = {
  readonly minLength: number
  /** Of each of these at least one class of bytes must occur. */
  readonly classes: readonly number[]
  /** One of these must occur, ASCII case ignored; lower-case, two bytes or longer. */
  readonly literals?: readonly string[]
}

export const noRequirement: Requirement = { minLength: 0, classes: [] }

const maxExact = 64
const maxExactLength = 24
const maxLiterals = 1500
const maxSetSize = 12

/** What is known of a node: all that it can match, if few; and what whatever it matches must contain. */
type Facts = {
  readonly exact: readonly string[] | undefined
  readonly minLength: number
  readonly classes: readonly number[]
  readonly literals: readonly string[] | undefined
}

const nothing: Facts = { exact: [''], minLength: 0, classes: [], literals: undefined }

/** What every match of a pattern must contain. */
export const requirementOf = (root: Node): Requirement => {
  const { minLength, classes, literals } = settle(factsOf(root))
  return { minLength, classes: [...new Set(classes)], ...(literals ? { literals } : {}) }
}

/** The requirement of "contains one of these". */
export const requirementOfPhrases = (phrases: readonly string[]): Requirement => {
  const folded = phrases.map((phrase) => phrase.toLowerCase())
  const minLength = Math.min(...folded.map((phrase) => phrase.length))
  return {
    minLength,
    classes: folded.length > 100 ? [] : classesOfAny(folded),
    ...(minLength >= 2 ? { literals: folded } : {}),
  }
}

const factsOf = (node: Node): Facts => {
  switch (node.kind) {
    case 'set':
      return factsOfSet(node.set)
    case 'group':
    case 'atomic':
      return factsOf(node.item)
    case 'concat':
      return factsOfSequence(node.items)
    case 'alternate':
      return factsOfChoice(node.items.map(factsOf))
    case 'repeat':
      return factsOfRepeat(node.item, node.min, node.max)
    case 'assert':
    case 'look':
      return nothing
    case 'backreference':
      return { ...nothing, exact: undefined }
    default:
      return node satisfies never
  }
}

const factsOfSets = new WeakMap<ByteSet, Facts>()
const factsOfSet = (set: ByteSet): Facts => {
  const known = factsOfSets.get(set)
  if (known) return known
  const facts = examineSet(set)
  factsOfSets.set(set, facts)
  return facts
}
const examineSet = (set: ByteSet): Facts => {
  const bytes = bytesOf(set)
  let classes = 0
  for (const byte of bytes) classes |= bitOfByte[byte] ?? 0
  // Both cases of a letter are one letter here: literals are compared without case.
  const distinct = [...new Set(bytesOf(foldCase(set)).map(lowerByte))]
  const exact =
    distinct.length <= maxSetSize ? distinct.map((byte) => String.fromCharCode(byte)) : undefined
  return { exact, minLength: 1, classes: bytes.length < 200 ? [classes] : [], literals: undefined }
}
const lowerByte = (byte: number): number => (byte >= 65 && byte <= 90 ? byte + 32 : byte)

const factsOfRepeat = (item: Node, min: number, max: number): Facts => {
  if (min === 0) return max === 0 ? nothing : { ...nothing, exact: optionalExact(item, max) }
  const once = factsOf(item)
  if (min === 1 && max === 1) return once
  if (min === max && min <= 4) return factsOfSequence(Array.from({ length: min }, () => item))
  const settled = settle(once)
  return { ...settled, exact: undefined, minLength: once.minLength * min }
}
const optionalExact = (item: Node, max: number): readonly string[] | undefined => {
  if (max !== 1) return undefined
  const { exact } = factsOf(item)
  return exact && exact.length < maxExact ? ['', ...exact] : undefined
}

const factsOfSequence = (items: readonly Node[]): Facts => {
  let run: readonly string[] = ['']
  let open = true
  let minLength = 0
  const classes: number[] = []
  let literals: readonly string[] | undefined
  const endRun = () => {
    const found = settle({ exact: run, minLength: 0, classes: [], literals: undefined })
    classes.push(...found.classes)
    literals = better(literals, found.literals)
    run = ['']
  }
  for (const item of items) {
    const facts = factsOf(item)
    minLength += facts.minLength
    const { exact } = facts
    if (
      exact &&
      exact.length * run.length <= maxExact &&
      longestOf(exact) + longestOf(run) <= maxExactLength
    ) {
      run = crossProduct(run, exact)
      continue
    }
    endRun()
    open = false
    if (exact && exact.length <= maxExact) run = exact
    else {
      classes.push(...facts.classes)
      literals = better(literals, facts.literals)
    }
  }
  if (open) return { exact: run, minLength, classes, literals }
  endRun()
  return { exact: undefined, minLength, classes, literals }
}

const longestOf = (texts: readonly string[]): number => {
  let longest = 0
  for (const { length } of texts) if (length > longest) longest = length
  return longest
}

const crossProduct = (heads: readonly string[], tails: readonly string[]): readonly string[] => {
  const [only] = tails
  if (only !== undefined && tails.length === 1) return heads.map((head) => head + only)
  return [...new Set(heads.flatMap((head) => tails.map((tail) => head + tail)))]
}

const factsOfChoice = (branches: readonly Facts[]): Facts => {
  const minLength = Math.min(...branches.map((branch) => branch.minLength))
  const exact = branches.every((branch) => branch.exact !== undefined)
    ? [...new Set(branches.flatMap((branch) => branch.exact ?? []))]
    : undefined
  if (exact && exact.length <= maxExact)
    return { exact, minLength, classes: [], literals: undefined }
  const settled = branches.map(settle)
  const literals = settled.every((branch) => branch.literals !== undefined)
    ? [...new Set(settled.flatMap((branch) => branch.literals ?? []))]
    : undefined
  const all = settled.every((branch) => branch.classes.length > 0)
  const joined = settled.reduce((mask, branch) => mask | rarest(branch.classes), 0)
  return {
    exact: undefined,
    minLength,
    classes: all ? [joined] : [],
    literals: literals && literals.length <= maxLiterals ? literals : undefined,
  }
}

/** Turns "is exactly one of these" into "contains one of these". */
const settle = (facts: Facts): Facts => {
  const { exact } = facts
  if (exact === undefined) return facts
  const usable = exact.every((text) => text.length >= 2)
  return {
    ...facts,
    classes: [...facts.classes, ...classesOfAny(exact)],
    literals: better(facts.literals, usable ? exact : undefined),
  }
}

/** Classes of which each must occur, given that one of the texts does. */
const classesOfAny = (texts: readonly string[]): readonly number[] => {
  let shared = -1
  let rare = 0
  for (const text of texts) {
    if (text === '') return []
    const classes = classesOfText(text)
    shared &= classes
    rare |= rarest(splitClasses(classes))
  }
  // What all texts share, each on its own; or else the rarest of each, joined.
  return shared === 0 ? [rare] : splitClasses(shared)
}

const letters = lowerClass | upperClass
/** A literal's letters may come in either case. */
const classesOfText = (text: string): number => {
  const classes = classesIn(text)
  return (classes & letters) === 0 ? classes : classes | letters
}
const splitClasses = (mask: number): readonly number[] => {
  const classes = (mask & letters) === 0 ? [] : [letters]
  for (let rest = mask & ~letters; rest !== 0; rest &= rest - 1) classes.push(rest & -rest)
  return classes
}

const rarest = (classes: readonly number[]): number =>
  classes.reduce((best, mask) => (weight(mask) < weight(best) ? mask : best), classes[0] ?? -1)

const weight = (mask: number): number => {
  let bits = 0
  for (let rest = mask; rest !== 0; rest &= rest - 1) bits++
  return bits + ((mask & commonClasses) === 0 ? 0 : 100)
}

/** The set of literals that will be met less often: its shortest is longer, or it is smaller. */
const better = (
  one: readonly string[] | undefined,
  two: readonly string[] | undefined,
): readonly string[] | undefined => {
  if (!one || !two) return one ?? two
  const difference = shortestUpToFour(one) - shortestUpToFour(two)
  if (difference !== 0) return difference > 0 ? one : two
  return one.length <= two.length ? one : two
}

const shortestUpToFour = (texts: readonly string[]): number => {
  let shortest = 4
  for (const { length } of texts) if (length < shortest) shortest = length
  return shortest
}
