import type { Test } from '../operators/operator.ts'
import { severities } from '../seclang/syntax.ts'
import { compileMacro } from './read-macro.ts'
import { removedTargets } from './removals.ts'
import type { State } from './state.ts'
import type { Unit, UnitLink, UnitTarget } from './unit.ts'

/** Matches kept of one request; more are counted. */
const maxMatches = 200

/** Whether `ctl` took an entry of a variable out of what a rule looks at. */
type IsGone = ((variable: string, key: string) => boolean) | undefined

/**
 * Runs one rule exactly as ModSecurity does: every value of the first link, then of the next; what a link does
 * happens at each of its matches, even if a later link fails; a chain is recorded when its last link matches.
 *
 * @returns Whether it matched.
 */
export const evaluateUnit = (state: State, unit: Unit): boolean => {
  state.matchedVar = undefined
  if (state.matchedVars.length > 0) state.matchedVars = []
  const { links } = unit
  for (let i = 0; i < links.length; i++) {
    const link = links[i]
    if (!link) continue
    const isGone = i === 0 && state.removals.length > 0 ? removedTargets(state, unit) : undefined
    if (!evaluateLink(state, unit, link, i === links.length - 1, isGone)) return false
  }
  return true
}

const evaluateLink = (
  state: State,
  unit: Unit,
  link: UnitLink,
  isLast: boolean,
  isGone: IsGone,
): boolean => {
  if (link.test === undefined) {
    link.effects?.(state)
    if (isLast) record(state, unit)
    return true
  }
  const test = link.test(state)
  let matched = false
  for (const target of link.targets)
    if (evaluateTarget(state, unit, link, target, test, isLast, isGone)) matched = true
  return matched
}

const evaluateTarget = (
  state: State,
  unit: Unit,
  link: UnitLink,
  target: UnitTarget,
  test: Test,
  isLast: boolean,
  isGone: IsGone,
): boolean => {
  const { variable, variableName, key, accepts } = target
  /** Tries one value in all the forms that the link wants. */
  const tryValue = (name: string, value: string): boolean => {
    let matched = false
    let form = value
    if (link.multiMatch || link.transformations.length === 0)
      matched = tryForm(state, unit, link, test, isLast, variableName, name, form)
    for (let i = 0; i < link.transformations.length; i++) {
      const next = link.transformations[i]?.apply(form) ?? form
      const isEnd = i === link.transformations.length - 1
      const wanted = link.multiMatch ? next !== form : isEnd
      form = next
      if (wanted && tryForm(state, unit, link, test, isLast, variableName, name, form)) matched = true
    }
    return matched
  }
  const tryCount = (count: number): boolean =>
    tryForm(state, unit, link, test, isLast, `&${variableName}`, key ?? '', String(count))

  if (variable.kind === 'scalar' || (variableName === 'TX' && key !== undefined)) {
    const value = isGone?.(variableName, key ?? '')
      ? undefined
      : variable.kind === 'scalar'
        ? variable.read(state)
        : state.tx.get(key ?? '')
    if (target.count) return tryCount(value === undefined ? 0 : 1)
    return value !== undefined && tryValue(key ?? '', value)
  }
  const entries = variableName === 'TX' ? state.tx.select(accepts) : variable.read(state)
  let matched = false
  let count = 0
  for (let i = 0; i < entries.values.length; i++) {
    const entryKey = entries.keys[i] ?? ''
    if (accepts && !accepts(entryKey)) continue
    if (isGone?.(variableName, entryKey)) continue
    count++
    if (!target.count && tryValue(entries.names[i] ?? '', entries.values[i] ?? '')) matched = true
  }
  return target.count ? tryCount(count) : matched
}

const tryForm = (
  state: State,
  unit: Unit,
  link: UnitLink,
  test: Test,
  isLast: boolean,
  variableName: string,
  name: string,
  value: string,
): boolean => {
  if (test.test(value) === link.negated) return false
  // Exact groups cost more than the verdict, so they are not sought where no one would see them.
  const isSeen = link.captureMatters || state.matches.length < maxMatches
  if (link.capture && isSeen && !link.negated && test.capture) {
    const groups = test.capture(value)
    if (groups.length > 0) state.tx.capture(groups)
  }
  const matched = { name: nameOf(variableName, name), value }
  state.matchedVar = matched
  state.matchedVars.push(matched)
  link.effects?.(state)
  if (isLast) record(state, unit)
  return true
}

const nameOf = (variable: string, name: string): string => {
  if (variable === 'XML') return 'XML:/*'
  if (variable === 'XML_ATTRIBUTES') return 'XML://@*'
  return name === '' ? variable : `${variable}:${name}`
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
  state.matches.push({
    ruleId: rule.id,
    file: rule.file,
    line: rule.line,
    phase: rule.phase,
    message: unit.message?.(state) ?? '',
    logData: unit.logData?.(state) ?? '',
    severity: rule.severity,
    tags: rule.tags.map((tag) => compileMacro(tag)(state)),
    version: rule.version,
    matched: state.matchedVar ? [state.matchedVar] : [],
    disruptive: rule.disruption.kind !== 'pass',
  })
}
