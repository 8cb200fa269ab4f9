import type { Link } from '../seclang/rule.ts'
import { severities, type Target } from '../seclang/syntax.ts'
import { transformations } from '../transformations/table.ts'
import { performEffects } from './effects.ts'
import { expandMacro } from './macro.ts'
import { acceptsOf } from './phase-program.ts'
import { removedTargets } from './removals.ts'
import type { MatchedValue, State } from './state.ts'
import type { Unit } from './unit.ts'
import { findVariable, readVariable } from './variables.ts'

/** Matches kept of one request; more are counted. */
const maxMatches = 200

/**
 * Runs one rule exactly as ModSecurity does: every value of the first link, then of the next; what a link does
 * happens at each of its matches, even if a later link fails; a chain is recorded when its last link matches.
 *
 * @returns Whether it matched.
 */
export const evaluateUnit = (state: State, unit: Unit): boolean => {
  state.matchedVar = undefined
  state.matchedVars = []
  const last = unit.links.length - 1
  for (const [i, link] of unit.links.entries())
    if (!evaluateLink(state, unit, link, i === 0, i === last)) return false
  return true
}

const evaluateLink = (
  state: State,
  unit: Unit,
  link: Link,
  isFirst: boolean,
  isLast: boolean,
): boolean => {
  const { operator } = link
  const found = (matched: MatchedValue | undefined) => {
    if (matched) {
      state.matchedVar = matched
      state.matchedVars.push(matched)
    }
    performEffects(state, link.effects)
    if (isLast) record(state, unit)
  }
  if (operator === undefined) {
    found(undefined)
    return true
  }
  const read = (variable: string, key: string | undefined) => readVariable(state, variable, key)
  const test = link.test ?? link.compile(expandMacro(operator.argument, read))
  let matchedAny = false
  const tryValue = (name: string, value: string) => {
    if (test.test(value) === operator.negated) return
    matchedAny = true
    if (link.capture && !operator.negated && test.capture) keepCaptures(state, test.capture(value))
    found({ name, value })
  }
  const isGone = isFirst && state.removals.length > 0 ? removedTargets(state, unit) : undefined
  for (const target of link.targets)
    for (const { name, value } of selectValues(state, target, isGone))
      forms(link, target.count, value, (form) => tryValue(name, form))
  return matchedAny
}

/** The value transformed; with multiMatch also as it was and after each transformation that changed it. */
const forms = (link: Link, count: boolean, value: string, use: (form: string) => void): void => {
  if (count) return use(value)
  let form = value
  if (link.multiMatch) use(form)
  for (const name of link.transformations) {
    const next = transformations[name].apply(form)
    if (link.multiMatch && next !== form) use(next)
    form = next
  }
  if (!link.multiMatch) use(form)
}

/** The values that a target names, with the names that MATCHED_VAR_NAME gives them. */
const selectValues = (
  state: State,
  target: Target,
  isGone: ((variable: string, key: string) => boolean) | undefined,
): readonly MatchedValue[] => {
  const variable = findVariable(target.variable)
  if (!variable) return []
  if (variable.kind === 'scalar') {
    const value = isGone?.(target.variable, '') ? undefined : variable.read(state)
    if (target.count) return [{ name: target.variable, value: value === undefined ? '0' : '1' }]
    return value === undefined ? [] : [{ name: target.variable, value }]
  }
  if (target.variable === 'TX' && target.selector.kind === 'key')
    return selectTx(state, target.selector.key, target.count, isGone)
  const accepts = acceptsOf(target)
  const { names, keys, values } =
    target.variable === 'TX' && accepts ? state.tx.select(accepts) : variable.read(state)
  const selected: MatchedValue[] = []
  for (let i = 0; i < values.length; i++) {
    const key = keys[i] ?? ''
    if (accepts && !accepts(key)) continue
    if (isGone?.(target.variable, key)) continue
    selected.push({ name: nameOf(target.variable, names[i] ?? ''), value: values[i] ?? '' })
  }
  if (!target.count) return selected
  const name = target.selector.kind === 'key' ? `:${target.selector.key}` : ''
  return [{ name: `&${target.variable}${name}`, value: String(selected.length) }]
}

const selectTx = (
  state: State,
  key: string,
  count: boolean,
  isGone: ((variable: string, key: string) => boolean) | undefined,
): readonly MatchedValue[] => {
  const value = isGone?.('TX', key) ? undefined : state.tx.get(key)
  if (count) return [{ name: `&TX:${key}`, value: value === undefined ? '0' : '1' }]
  return value === undefined ? [] : [{ name: `TX:${key}`, value }]
}

const nameOf = (variable: string, name: string): string => {
  if (variable === 'XML') return 'XML:/*'
  if (variable === 'XML_ATTRIBUTES') return 'XML://@*'
  return `${variable}:${name}`
}

/** Groups that took no part are unset, so that a rule does not read those of the match before. */
const keepCaptures = (state: State, groups: readonly string[]): void => {
  if (groups.length === 0) return
  for (let i = 0; i < 10; i++) {
    const group = groups[i]
    if (group !== undefined) state.tx.set(String(i), group)
    else state.tx.unset(String(i))
  }
}

const record = (state: State, unit: Unit): void => {
  const { rule } = unit
  if (rule.severity !== undefined)
    state.highestSeverity = Math.min(state.highestSeverity, severities.indexOf(rule.severity))
  if (!rule.log) return
  if (state.matches.length >= maxMatches) {
    state.droppedMatches++
    return
  }
  const read = (variable: string, key: string | undefined) => readVariable(state, variable, key)
  state.matches.push({
    ruleId: rule.id,
    file: rule.file,
    line: rule.line,
    phase: rule.phase,
    message: rule.message ? expandMacro(rule.message, read) : '',
    logData: rule.logData ? expandMacro(rule.logData, read) : '',
    severity: rule.severity,
    tags: rule.tags.map((tag) => expandMacro(tag, read)),
    version: rule.version,
    matched: state.matchedVar ? [state.matchedVar] : [],
    disruptive: rule.disruption.kind !== 'pass',
  })
}
