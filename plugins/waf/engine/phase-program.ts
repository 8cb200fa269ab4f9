import type { Link } from '../seclang/rule.ts'
import type { Selector, Target } from '../seclang/syntax.ts'
import type { FoldedRule } from './fold.ts'
import { makeScanner, type Probe } from './scanner.ts'
import { acceptsOf } from './accepts.ts'
import { compileUnit, type Unit } from './unit.ts'
import { makeVariableScan, type Slot, type VariableScan } from './variable-scan.ts'
import { findVariable } from './variables.ts'

/**
 * The rules of one phase, and the scans that say beforehand which of them may match. A rule runs only if every bit of
 * `required` was hit; rules that look at what other rules change have none and always run.
 */
export type PhaseProgram = {
  readonly units: readonly Unit[]
  readonly required: Int32Array
  readonly scans: readonly VariableScan[]
  /** Arrays of hits that no request uses at the moment, all zero. */
  readonly spareHits: Int32Array[]
}

/** Links of one chain that are asked beforehand: one bit each. */
const maxAsked = 31

export const buildPhase = (rules: readonly FoldedRule[]): PhaseProgram => {
  const required = new Int32Array(rules.length)
  const wanted = new Map<string, { target: Target; probes: Probe[] }>()
  rules.forEach(({ links }, unit) => {
    for (const [bit, link] of askedLinks(links).entries()) {
      required[unit] = (required[unit] ?? 0) | (1 << bit)
      for (const target of link.targets) add(wanted, target, probeOf(link, target, unit * 32 + bit))
    }
  })
  return {
    units: rules.map(compileUnit),
    required,
    scans: buildScans([...wanted.values()]),
    spareHits: [],
  }
}

/**
 * Links whose answer is known before the phase: what they look at does not change in it, and no link before them does
 * anything that would have to happen even if they do not match.
 */
const askedLinks = (links: readonly Link[]): readonly Link[] => {
  const asked: Link[] = []
  for (const link of links) {
    const stable = link.targets.every(({ variable }) => findVariable(variable)?.stable === true)
    const { test } = link
    if (
      test &&
      !test.ask &&
      link.operator &&
      link.targets.length > 0 &&
      stable &&
      asked.length < maxAsked
    )
      asked.push(link)
    if (link.effects.length > 0 || link.capture) break
  }
  return asked
}

const probeOf = (link: Link, target: Target, hit: number): Probe => ({
  hit,
  transformations: link.transformations,
  multiMatch: link.multiMatch,
  negated: link.operator?.negated === true,
  test: link.test ?? { test: () => true },
  ...(target.count ? { transformations: [] } : {}),
})

const add = (
  wanted: Map<string, { target: Target; probes: Probe[] }>,
  target: Target,
  probe: Probe,
): void => {
  const key = [
    target.count ? '&' : '',
    target.variable,
    selectorKey(target.selector),
    ...target.except.map(selectorKey).sort(),
  ].join('\n')
  const known = wanted.get(key)
  if (known) known.probes.push(probe)
  else wanted.set(key, { target, probes: [probe] })
}

const selectorKey = (selector: Selector): string => {
  switch (selector.kind) {
    case 'all':
      return ''
    case 'key':
      return `:${selector.key}`
    case 'pattern':
      return `/${selector.source}`
    default:
      return selector satisfies never
  }
}

const buildScans = (
  wanted: readonly { target: Target; probes: Probe[] }[],
): readonly VariableScan[] => {
  const names = new Set(wanted.map(({ target }) => target.variable))
  const scans: VariableScan[] = []
  for (const name of names) {
    const variable = findVariable(name)
    if (!variable) continue
    const slots: Slot[] = []
    const counts: Slot[] = []
    for (const { target, probes } of wanted)
      if (target.variable === name)
        (target.count ? counts : slots).push({
          accepts: acceptsOf(target),
          scanner: makeScanner(probes),
        })
    scans.push(makeVariableScan(variable, slots, counts))
  }
  return scans
}
