import type { Test } from '../operators/operator.ts'
import { noRequirement } from '../regex/requirement.ts'
import { transformations, type TransformationName } from '../transformations/table.ts'
import { classesIn } from './byte-classes.ts'
import { makePhraseIndex } from './phrase-index.ts'

/** One operator to try on values of one variable. `hit` is what a scan answers if it matches. */
export type Probe = {
  readonly hit: number
  readonly transformations: readonly TransformationName[]
  readonly multiMatch: boolean
  readonly negated: boolean
  readonly test: Test
}

/** Tries many operators on one value. */
export type Scanner = {
  /** The hits of all probes that match the value, in no order. */
  readonly scan: (value: string) => readonly number[]
  /** The same in small pieces, for long values: pauses after each that takes time, and returns the hits at last. */
  readonly scanSlowly: (value: string) => Generator<undefined, readonly number[]>
}

type Gated = {
  readonly hit: number
  readonly negated: boolean
  readonly test: (value: string) => boolean
  readonly search: Test['search']
  readonly minLength: number
  /** Of each of these a class must occur; -1, which every value but the empty has, where fewer are wanted. */
  readonly firstClasses: number
  readonly secondClasses: number
  readonly moreClasses: readonly number[]
  /** Which group of literals must have one in the value, -1 for none. */
  readonly group: number
}
type Step = {
  readonly parent: number
  readonly apply: (value: string) => string
  readonly actsOn: number
  /** Changes nothing but case, which literals ignore. */
  readonly caseOnly: boolean
  readonly probes: Gated[]
  /** Probes that need a literal: passed over together where none was found. */
  readonly literalProbes: Gated[]
}

const noHits: readonly number[] = Object.freeze([])
/** Distinct forms of one value that are scanned for literals; of more, all literals count as found. */
const maxForms = 31

/**
 * Groups probes by their transformations, each of which runs once a value and only if the value has bytes that it acts
 * on; asks a literal scan and byte classes before any operator.
 */
export const makeScanner = (probes: readonly Probe[]): Scanner => {
  const { steps, groupsOfPhrase, phrases, groupCount } = plan(probes)
  const index = makePhraseIndex(phrases)
  const makeScratch = (): Scratch => ({
    texts: Array.from({ length: steps.length }, () => ''),
    masks: new Int32Array(steps.length),
    forms: new Int32Array(steps.length),
    found: new Int32Array(groupCount),
    touched: [],
    formCount: 0,
    formsWithLiterals: 0,
  })

  const scanLiterals = (scratch: Scratch, text: string, form: number): void => {
    if (form >= maxForms) return
    const bit = 1 << form
    const { found, touched } = scratch
    index.scan(text, (phrase) => {
      scratch.formsWithLiterals |= bit
      const groups = groupsOfPhrase[phrase] ?? []
      for (let i = 0; i < groups.length; i++) {
        const group = groups[i] ?? 0
        if (found[group] === 0) touched.push(group)
        found[group] = (found[group] ?? 0) | bit
      }
      return false
    })
  }
  const clear = (scratch: Scratch): void => {
    scratch.formCount = 0
    scratch.formsWithLiterals = 0
    while (scratch.touched.length > 0) scratch.found[scratch.touched.pop() ?? 0] = 0
  }
  /** Transforms for one step; says whether that changed anything. */
  const enter = (scratch: Scratch, step: Step, at: number, value: string): boolean => {
    const { texts, masks, forms } = scratch
    const { parent } = step
    const before = parent < 0 ? '' : (texts[parent] ?? '')
    const mask = parent < 0 ? 0 : (masks[parent] ?? 0)
    const acts = (mask & step.actsOn) !== 0 || step.actsOn === -1
    const text = parent < 0 ? value : acts ? step.apply(before) : before
    texts[at] = text
    masks[at] = mask
    forms[at] = parent < 0 ? 0 : (forms[parent] ?? 0)
    if (parent >= 0 && text === before) return false
    masks[at] = classesIn(text)
    if (parent < 0 || !step.caseOnly) {
      forms[at] = scratch.formCount
      scanLiterals(scratch, text, scratch.formCount++)
    }
    return true
  }
  const hasLiteral = (scratch: Scratch, group: number, form: number): boolean =>
    form >= maxForms || (((scratch.found[group] ?? 0) >>> form) & 1) === 1
  const mayHaveLiterals = (scratch: Scratch, form: number): boolean =>
    form >= maxForms || ((scratch.formsWithLiterals >>> form) & 1) === 1

  const shared = makeScratch()
  const scan = (value: string): readonly number[] => {
    let hits: number[] | undefined
    clear(shared)
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at]
      if (!step) continue
      enter(shared, step, at, value)
      const text = shared.texts[at] ?? ''
      const form = shared.forms[at] ?? 0
      // The empty value has no class at all, and what wants none must still be asked; length rules out the rest.
      const mask = shared.masks[at] || -1
      const { probes, literalProbes } = step
      for (let i = 0; i < probes.length; i++) {
        const probe = probes[i]
        if (!probe || !(probe.negated || passes(probe, text.length, mask))) continue
        if (probe.test(text) !== probe.negated) (hits ??= []).push(probe.hit)
      }
      if (literalProbes.length === 0 || !mayHaveLiterals(shared, form)) continue
      for (let i = 0; i < literalProbes.length; i++) {
        const probe = literalProbes[i]
        if (!probe || !passes(probe, text.length, mask)) continue
        if (hasLiteral(shared, probe.group, form) && probe.test(text)) (hits ??= []).push(probe.hit)
      }
    }
    return hits ?? noHits
  }

  const scanSlowly = function* (value: string): Generator<undefined, readonly number[]> {
    // Other requests are scanned in the pauses, so it cannot use what they share.
    const scratch = makeScratch()
    const hits: number[] = []
    for (const [at, step] of steps.entries()) {
      if (enter(scratch, step, at, value)) yield
      const text = scratch.texts[at] ?? ''
      const form = scratch.forms[at] ?? 0
      const mask = scratch.masks[at] || -1
      for (const probe of [...step.probes, ...step.literalProbes]) {
        if (!probe.negated && !passes(probe, text.length, mask)) continue
        if (probe.group >= 0 && !hasLiteral(scratch, probe.group, form)) continue
        const matches = probe.search ? (yield* probe.search(text)) !== undefined : probe.test(text)
        if (matches !== probe.negated) hits.push(probe.hit)
        yield
      }
    }
    return hits
  }
  return { scan, scanSlowly }
}

/** What is worked out of one value. */
type Scratch = {
  readonly texts: string[]
  readonly masks: Int32Array
  /** Which distinct form each step's text is, for literals. */
  readonly forms: Int32Array
  /** Bits of the forms in which each group of literals has one. */
  readonly found: Int32Array
  readonly touched: number[]
  formCount: number
  formsWithLiterals: number
}

const passes = (probe: Gated, length: number, mask: number): boolean =>
  length >= probe.minLength &&
  (mask & probe.firstClasses) !== 0 &&
  (mask & probe.secondClasses) !== 0 &&
  (probe.moreClasses.length === 0 || probe.moreClasses.every((classes) => (mask & classes) !== 0))

const plan = (probes: readonly Probe[]) => {
  const steps: Step[] = [
    {
      parent: -1,
      apply: (value) => value,
      actsOn: 0,
      caseOnly: false,
      probes: [],
      literalProbes: [],
    },
  ]
  const stepOf = new Map<string, number>()
  const phrases: string[] = []
  const groupsOfPhrase: number[][] = []
  const phraseNumber = new Map<string, number>()
  let groupCount = 0

  const groupFor = (literals: readonly string[] | undefined): number => {
    if (literals === undefined) return -1
    const group = groupCount++
    for (const literal of new Set(literals)) {
      let number = phraseNumber.get(literal)
      if (number === undefined) {
        number = phrases.push(literal) - 1
        phraseNumber.set(literal, number)
        groupsOfPhrase.push([])
      }
      groupsOfPhrase[number]?.push(group)
    }
    return group
  }
  const childOf = (parent: number, name: TransformationName): number => {
    const key = `${parent} ${name}`
    const known = stepOf.get(key)
    if (known !== undefined) return known
    const { apply, actsOn } = transformations[name]
    const caseOnly = name === 'lowercase' || name === 'uppercase'
    const step = steps.push({ parent, apply, actsOn, caseOnly, probes: [], literalProbes: [] }) - 1
    stepOf.set(key, step)
    return step
  }
  const addTo = (at: number, gated: Gated) => {
    const step = steps[at]
    if (gated.group >= 0) step?.literalProbes.push(gated)
    else step?.probes.push(gated)
  }
  for (const probe of probes) {
    const { minLength, classes, literals } = probe.test.requirement ?? noRequirement
    const gated: Gated = {
      hit: probe.hit,
      negated: probe.negated,
      test: probe.test.test,
      search: probe.test.search,
      minLength,
      firstClasses: classes[0] ?? -1,
      secondClasses: classes[1] ?? -1,
      moreClasses: classes.slice(2),
      group: probe.negated ? -1 : groupFor(literals),
    }
    let step = 0
    for (const name of probe.transformations) {
      if (probe.multiMatch) addTo(step, gated)
      step = childOf(step, name)
    }
    addTo(step, gated)
  }
  return { steps, phrases, groupsOfPhrase, groupCount }
}
