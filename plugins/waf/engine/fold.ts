import type { Entry, Link, Rule } from '../seclang/rule.ts'
import { phases, type Phase } from '../seclang/syntax.ts'
import { idsInclude } from '../seclang/update-rules.ts'
import {
  compileAtLoad,
  constantEffect,
  constantText,
  constantVerdict,
  makeConstants,
  type Constants,
} from './constants.ts'
import { lowerKey } from './entries.ts'
import type { Macro } from './macro.ts'

/** A rule that is left to run, with where it leads if it matches. */
export type FoldedRule = {
  readonly rule: Rule
  /** Links that hold for every request are left out. */
  readonly links: readonly Link[]
  /** Index of the rule to go on with after a match; -1 for the next. */
  readonly skipTo: number
}

export type Folded = {
  readonly phases: ReadonlyMap<Phase, readonly FoldedRule[]>
  /** TX as every request begins with it. */
  readonly tx: ReadonlyMap<string, string>
}

/** Removals of more ids than this are meant for whole rule sets, their control flow included. */
const maxNamedIds = 1000

/**
 * Works out at load what is the same for every request: of CRS, most of its control flow. Rules whose conditions only
 * look at constants are decided, their skips followed, their constant effects put into what TX begins with, and known
 * macros in operators' arguments expanded. What it does to no request can be told from running all rules in order,
 * unless a rule removes single control rules at run time: those that are named so are not folded.
 */
export const foldRules = (entries: readonly Entry[]): Folded => {
  const constants = makeConstants()
  const tx = new Map<string, string>()
  const shared: Shared = {
    constants,
    tx,
    touched: new Set(),
    touchedAll: false,
    mayBeRemoved: removalsIn(entries),
  }
  const folded = new Map<Phase, readonly FoldedRule[]>()
  for (const phase of phases) {
    // Phase 5 also runs after a refusal, when rules of other phases may not have run.
    if (phase === 5)
      constants.keepOnly(new Set([...tx.keys()].filter((name) => !shared.touched.has(name))))
    folded.set(phase, foldPhase(entries, phase, shared))
  }
  return { phases: folded, tx }
}

type Shared = {
  readonly constants: Constants
  readonly tx: Map<string, string>
  /** Names that rules left to run read or write: their constants cannot be moved before them. */
  readonly touched: Set<string>
  touchedAll: boolean
  readonly mayBeRemoved: (rule: Rule) => boolean
}

const removalsIn = (entries: readonly Entry[]): ((rule: Rule) => boolean) => {
  const ranges = entries
    .flatMap((entry) => (entry.kind === 'rule' ? entry.rule.links : []))
    .flatMap((link) => link.effects)
    .flatMap((effect) =>
      effect.kind === 'ctl' && effect.change.what === 'removeById' ? effect.change.ids : [],
    )
    .filter(([from, to]) => to - from < maxNamedIds)
  return (rule) => idsInclude(ranges, rule.id)
}

const foldPhase = (entries: readonly Entry[], phase: Phase, shared: Shared): FoldedRule[] => {
  const list = entries.filter((entry) => entry.kind === 'marker' || entry.rule.phase === phase)
  const kept: { rule: Rule; links: readonly Link[]; from: number; target: number }[] = []
  /** Rules before this place may be passed over by one that is left to run. */
  let conditionalUntil = 0
  for (let i = 0; i < list.length; i++) {
    const entry = list[i]
    if (entry?.kind !== 'rule') continue
    const { rule } = entry
    const target = targetOf(list, i, rule)
    const conditional = i < conditionalUntil
    const decided = shared.mayBeRemoved(rule) ? undefined : decide(rule, shared.constants)
    if (decided === false) continue
    if (decided === true && (target < 0 || !conditional || target <= conditionalUntil)) {
      if (moveEffects(rule, shared, conditional)) {
        if (target >= 0) i = target - 1
        continue
      }
      if (target >= 0) conditionalUntil = Math.max(conditionalUntil, target)
    } else if (target >= 0) conditionalUntil = Math.max(conditionalUntil, target)
    if (rule.disruption.kind === 'allow' && rule.disruption.scope !== 'all')
      conditionalUntil = list.length
    const links = shared.mayBeRemoved(rule) ? rule.links : simplify(rule, shared.constants)
    kept.push({ rule, links, from: i, target })
    touch(rule, links, shared)
    for (const effect of rule.links.flatMap((link) => link.effects))
      if (effect.kind === 'setvar' && effect.collection === 'TX')
        shared.constants.forget(effect.name)
  }
  return kept.map(({ rule, links, target }) => ({
    rule,
    links,
    skipTo: target < 0 ? -1 : indexFrom(kept, target),
  }))
}

const indexFrom = (kept: readonly { from: number }[], place: number): number => {
  const index = kept.findIndex(({ from }) => from >= place)
  return index < 0 ? kept.length : index
}

/** Where a match leads: behind the marker or rule that skipAfter names, or past as many rules as skip says. */
const targetOf = (list: readonly Entry[], at: number, rule: Rule): number => {
  if (rule.skipAfter !== undefined) {
    const name = rule.skipAfter
    const found = list.findIndex(
      (entry, i) =>
        i > at && (entry.kind === 'marker' ? entry.name === name : String(entry.rule.id) === name),
    )
    return found < 0 ? list.length : found + 1
  }
  if (rule.skip === 0) return -1
  let left = rule.skip
  for (let i = at + 1; i < list.length; i++) {
    if (left === 0) return i
    if (list[i]?.kind === 'rule') left--
  }
  return list.length
}

/** Whether the rule matches every request or none. */
const decide = (rule: Rule, constants: Constants): boolean | undefined => {
  let all = true
  for (const [i, link] of rule.links.entries()) {
    const verdict = constantVerdict(link, constants)
    if (verdict === false)
      // What links before it do has to be done all the same.
      return rule.links.slice(0, i).some((before) => before.effects.length > 0 || before.capture)
        ? undefined
        : false
    if (verdict === undefined) all = false
  }
  return all ? true : undefined
}

/** Tries to put all that a rule does that always matches into what TX begins with. */
const moveEffects = (rule: Rule, shared: Shared, conditional: boolean): boolean => {
  const effects = rule.links.flatMap((link) => link.effects)
  if (rule.log || rule.auditLog || rule.disruption.kind !== 'pass') return false
  if (rule.links.some((link) => link.capture)) return false
  if (effects.length === 0) return true
  if (conditional || shared.touchedAll) return false
  const writes: { name: string; value: string | undefined }[] = []
  for (const effect of effects) {
    const write = constantEffect(effect, shared.constants)
    if (!write || shared.touched.has(lowerKey(write.name))) return false
    // One that reads what another of the same rule wrote would need their order.
    if (writes.some(({ name }) => lowerKey(name) === lowerKey(write.name))) return false
    writes.push(write)
  }
  for (const { name, value } of writes) {
    shared.constants.write(name, value)
    if (value === undefined) shared.tx.delete(lowerKey(name))
    else shared.tx.set(lowerKey(name), value)
  }
  return true
}

/** Leaves out links that always hold and do nothing, and expands macros that are known. */
const simplify = (rule: Rule, constants: Constants): readonly Link[] => {
  const readsMatches = rule.links.some((link) =>
    link.targets.some(({ variable }) => variable.startsWith('MATCHED_VAR')),
  )
  const needed = rule.links.filter(
    (link, i) =>
      readsMatches ||
      i === rule.links.length - 1 ||
      link.effects.length > 0 ||
      link.capture ||
      constantVerdict(link, constants) !== true,
  )
  const readsMatched = readsMatchedVar(rule)
  return needed.map((link) => {
    if (link.operator === undefined) return link
    // What always holds and is not spoken of need not be tried: only its effects are left.
    if (!readsMatched && !rule.log && !link.capture && constantVerdict(link, constants) === true)
      return { ...link, targets: [], operator: undefined }
    if (link.test) return link
    const argument = constantText(link.operator.argument, constants)
    return argument === undefined ? link : { ...link, test: compileAtLoad(link, argument) }
  })
}

/** Whether what the rule does depends on what it matched. */
const readsMatchedVar = (rule: Rule): boolean =>
  rule.links.some(
    (link) =>
      link.targets.some(({ variable }) => variable.startsWith('MATCHED_VAR')) ||
      link.effects.some((effect) => JSON.stringify(effect).toUpperCase().includes('MATCHED_VAR')),
  )

const touch = (rule: Rule, links: readonly Link[], shared: Shared): void => {
  const read = (macro: Macro | undefined) => {
    for (const part of macro?.parts ?? [])
      if (typeof part !== 'string' && part.variable === 'TX' && part.key !== undefined)
        shared.touched.add(lowerKey(part.key))
  }
  read(rule.message)
  read(rule.logData)
  rule.tags.forEach(read)
  for (const link of links) {
    if (link.test === undefined) read(link.operator?.argument)
    for (const { variable, selector } of link.targets) {
      if (variable !== 'TX') continue
      if (selector.kind === 'key') shared.touched.add(selector.key)
      else shared.touchedAll = true
    }
    for (const effect of link.effects) {
      if (effect.kind !== 'setvar') continue
      if (effect.collection === 'TX' && effect.name.text !== undefined)
        shared.touched.add(lowerKey(effect.name.text))
      read(effect.name)
      if (effect.change.how !== 'unset') read(effect.change.value)
    }
  }
}
