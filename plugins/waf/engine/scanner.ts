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
  readonly classes: readonly number[]
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
  const texts: string[] = Array.from({ length: steps.length }, () => '')
  const masks = new Int32Array(steps.length)
  /** Which distinct form each step's text is, for literals. */
  const forms = new Int32Array(steps.length)
  const found = new Int32Array(groupCount)

  const scanLiterals = (text: string, form: number): void => {
    const bit = 1 << form
    index.scan(text, (phrase) => {
      for (const group of groupsOfPhrase[phrase] ?? []) found[group] = (found[group] ?? 0) | bit
      return false
    })
  }

  const passes = (probe: Gated, text: string, mask: number, form: number): boolean => {
    if (probe.negated) return true
    if (text.length < probe.minLength) return false
    for (const classes of probe.classes) if ((mask & classes) === 0) return false
    return probe.group < 0 || form >= maxForms || (((found[probe.group] ?? 0) >>> form) & 1) === 1
  }

  const compute = (value: string): readonly number[] => {
    let hits: number[] | undefined
    let formCount = 0
    found.fill(0)
    for (let at = 0; at < steps.length; at++) {
      const step = steps[at]
      if (!step) continue
      const parent = step.parent
      const before = parent < 0 ? value : (texts[parent] ?? '')
      let text = before
      if (parent >= 0 && (step.actsOn === -1 || ((masks[parent] ?? 0) & step.actsOn) !== 0))
        text = step.apply(before)
      texts[at] = text
      if (parent >= 0 && text === before) {
        masks[at] = masks[parent] ?? 0
        forms[at] = forms[parent] ?? 0
      } else {
        masks[at] = classesIn(text)
        if (step.caseOnly) forms[at] = forms[parent] ?? 0
        else {
          forms[at] = formCount
          if (formCount < maxForms) scanLiterals(text, formCount)
          formCount++
        }
      }
      const [mask = 0, form = 0] = [masks[at], forms[at]]
      for (const probe of step.probes)
        if (passes(probe, text, mask, form) && probe.test(text) !== probe.negated)
          (hits ??= []).push(probe.hit)
    }
    return hits ?? noHits
  }

  return { scan: compute }
}

const plan = (probes: readonly Probe[]) => {
  const steps: Step[] = [
    { parent: -1, apply: (value) => value, actsOn: 0, caseOnly: false, probes: [] },
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
    const step = steps.push({ parent, apply, actsOn, caseOnly, probes: [] }) - 1
    stepOf.set(key, step)
    return step
  }
  for (const probe of probes) {
    const { minLength, classes, literals } = probe.test.requirement ?? noRequirement
    const gated: Gated = {
      hit: probe.hit,
      negated: probe.negated,
      test: probe.test.test,
      minLength,
      classes,
      group: probe.negated ? -1 : groupFor(literals),
    }
    let step = 0
    for (const name of probe.transformations) {
      if (probe.multiMatch) steps[step]?.probes.push(gated)
      step = childOf(step, name)
    }
    steps[step]?.probes.push(gated)
  }
  return { steps, phrases, groupsOfPhrase, groupCount }
}
