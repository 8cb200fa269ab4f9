import type { Link } from '../seclang/rule.ts'
import { selects } from '../seclang/parse-targets.ts'
import type { Selector, Target } from '../seclang/syntax.ts'
import type { FoldedRule } from './fold.ts'
import { makeScanner, type Probe, type Scanner } from './scanner.ts'
import type { Unit } from './unit.ts'
import { findVariable, type Variable } from './variables.ts'

/** What is asked of one variable before the first rule of a phase runs. */
export type VariableScan = {
  readonly variable: Variable
  /** Entries with this key. */
  readonly keyed: ReadonlyMap<string, Scanner>
  /** Entries that the selectors choose; all, for a scalar. */
  readonly chosen: readonly {
    readonly accepts: ((key: string) => boolean) | undefined
    readonly scanner: Scanner
  }[]
  /** How many entries the selector chooses. */
  readonly counted: readonly {
    readonly accepts: ((key: string) => boolean) | undefined
    readonly scanner: Scanner
  }[]
}

/**
 * The rules of one phase, and the scans that say beforehand which of them may match. A rule runs only if every bit of
 * `required` was hit; rules that look at what other rules change have none and always run.
 */
export type PhaseProgram = {
  readonly units: readonly Unit[]
  readonly required: Int32Array
  readonly scans: readonly VariableScan[]
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
    units: rules.map(({ rule, links, skipTo }) => ({
      rule,
      links,
      skipTo,
      tags: rule.tags.map((tag) => tag.source),
    })),
    required,
    scans: buildScans([...wanted.values()]),
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
    if (link.test && link.operator && link.targets.length > 0 && stable && asked.length < maxAsked)
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
    const keyed = new Map<string, Scanner>()
    const chosen: { accepts: ((key: string) => boolean) | undefined; scanner: Scanner }[] = []
    const counted: typeof chosen = []
    for (const { target, probes } of wanted) {
      if (target.variable !== name) continue
      const scanner = makeScanner(probes)
      const { selector, except, count } = target
      if (count) counted.push({ accepts: acceptsOf(target), scanner })
      else if (selector.kind === 'key' && except.length === 0) keyed.set(selector.key, scanner)
      else chosen.push({ accepts: acceptsOf(target), scanner })
    }
    scans.push({ variable, keyed, chosen, counted })
  }
  return scans
}

/** Whether a target chooses a key; undefined if it chooses all. */
export const acceptsOf = ({
  selector,
  except,
}: Pick<Target, 'selector' | 'except'>): ((key: string) => boolean) | undefined => {
  if (selector.kind === 'all' && except.length === 0) return undefined
  const keys = new Set(except.flatMap((one) => (one.kind === 'key' ? [one.key] : [])))
  const others = except.filter((one) => one.kind !== 'key')
  return (key) =>
    selects(selector, key) && !keys.has(key) && !others.some((one) => selects(one, key))
}
