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
}

type Gated = {
  readonly hit: number
  readonly negated: boolean
  readonly test: (value: string) => boolean
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
/** Stands for "no class" where -1 wants any: every class there is, of which an empty value fails none by length. */
const emptyClasses = -1

/**
 * Groups probes by their transformations, each of which runs once a value and only if the value has bytes that it acts
 * on; asks a literal scan and byte classes before any operator.
 */
export const makeScanner = (probes: readonly Probe[]): Scanner => {
  const { steps, groupsOfPhrase, phrases, groupCount } = plan(probes)
  const index = makePhraseIndex(phrases)
  const texts: string[] = Array.from({ length: steps.length }, () => '')
  const masks = new Int32Array(steps.length)
  /** Which distinct form each step's text is, for literals. */
  const forms = new Int32Array(steps.length)
  /** Bits of the forms in which each group of literals has one. */
  const found = new Int32Array(groupCount)
  const touched: number[] = []
  let formsWithLiterals = 0
  let currentBit = 0

  const foundPhrase = (phrase: number): boolean => {
    formsWithLiterals |= currentBit
    const groups = groupsOfPhrase[phrase]
    if (groups)
      for (let i = 0; i < groups.length; i++) {
        const group = groups[i] ?? 0
        if (found[group] === 0) touched.push(group)
        found[group] = (found[group] ?? 0) | currentBit
      }
    return false
  }
  const scanLiterals = (text: string, form: number): void => {
    currentBit = form < maxForms ? 1 << form : 0
    if (form < maxForms) index.scan(text, foundPhrase)
  }
  const passes = (probe: Gated, length: number, mask: number): boolean =>
    length >= probe.minLength &&
    (mask & probe.firstClasses) !== 0 &&
    (mask & probe.secondClasses) !== 0 &&
    (probe.moreClasses.length === 0 || probe.moreClasses.every((classes) => (mask & classes) !== 0))

  const compute = (value: string): readonly number[] => {
    let hits: number[] | undefined
    let formCount = 0
    formsWithLiterals = 0
    while (touched.length > 0) found[touched.pop() ?? 0] = 0
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at]
      if (!step) continue
      const parent = step.parent
      let text = value
      let mask = 0
      let form = 0
      if (parent < 0) {
        mask = classesIn(text)
        scanLiterals(text, formCount++)
      } else {
        const before = texts[parent] ?? ''
        mask = masks[parent] ?? 0
        form = forms[parent] ?? 0
        text = (mask & step.actsOn) !== 0 || step.actsOn === -1 ? step.apply(before) : before
        if (text !== before) {
          mask = classesIn(text)
          if (!step.caseOnly) {
            form = formCount++
            scanLiterals(text, form)
          }
        }
      }
      texts[at] = text
      masks[at] = mask
      forms[at] = form
      const { probes, literalProbes } = step
      // The empty value has no class at all, and what wants none must still be asked.
      const present = mask === 0 ? emptyClasses : mask
      for (let i = 0; i < probes.length; i++) {
        const probe = probes[i]
        if (!probe) continue
        if (!probe.negated && !passes(probe, text.length, present)) continue
        if (probe.test(text) !== probe.negated) (hits ??= []).push(probe.hit)
      }
      const allForms = form >= maxForms
      if (!allForms && ((formsWithLiterals >>> form) & 1) === 0) continue
      for (let i = 0; i < literalProbes.length; i++) {
        const probe = literalProbes[i]
        if (!probe || !passes(probe, text.length, present)) continue
        if (!allForms && (((found[probe.group] ?? 0) >>> form) & 1) === 0) continue
        if (probe.test(text)) (hits ??= []).push(probe.hit)
      }
    }
    return hits ?? noHits
  }
  return { scan: compute }
}

const plan = (probes: readonly Probe[]) => {
  const steps: Step[] = [
    { parent: -1, apply: (value) => value, actsOn: 0, caseOnly: false, probes: [], literalProbes: [] },
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
