import type { Test } from '../operators/operator.ts'
import { noEntries, type Entries } from './entries.ts'
import { severities } from '../seclang/syntax.ts'
import { compileMacro } from './read-macro.ts'
import { removedTargets } from './removals.ts'
import type { State } from './state.ts'
import type { Unit, UnitLink, UnitTarget } from './unit.ts'

/** Matches kept of one request; more are counted. */
const maxMatches = 200

/** Whether `ctl` took an entry of a variable out of what a rule looks at. */
type IsGone = ((variable: string, key: string) => boolean) | undefined

/** How far a rule has come that is run in pieces. */
export type Progress = {
  link: number
  target: number
  entry: number
  matched: boolean
  /** What a target's variable held when it was begun: rules change some, which must not show in a pause. */
  entries: Entries | undefined
  /** A long value in the midst of its trial. */
  running: Generator<Promise<void> | undefined, void> | undefined
}

export const newProgress = (): Progress => ({
  link: 0,
  target: 0,
  entry: 0,
  matched: false,
  entries: undefined,
  running: undefined,
})

/** Longer values are tried in pieces. */
export const longBytes = 256

/** Bytes tried between two looks at the clock, and what each entry counts for besides. */
const bytesPerLook = 1024
const bytesPerEntry = 32

/**
 * Runs one rule exactly as ModSecurity does: every value of the first link, then of the next; what a link does
 * happens at each of its matches, even if a later link fails; a chain is recorded when its last link matches.
 *
 * @returns Whether it matched; undefined if it was interrupted, then call it again with the same progress.
 */
export const evaluateUnit = (
  state: State,
  unit: Unit,
  progress: Progress,
  isLate: () => boolean,
): boolean | undefined => {
  const { links } = unit
  const begins = progress.link === 0 && progress.target === 0 && progress.entry === 0
  if (begins && !progress.running) {
    state.matchedVar = undefined
    if (state.matchedVars.length > 0) state.matchedVars = []
  }
  for (; progress.link < links.length; progress.link++) {
    const link = links[progress.link]
    if (!link) continue
    const matched = evaluateLink(state, unit, link, progress, isLate)
    if (matched !== true) return matched
    progress.target = 0
    progress.entry = 0
    progress.matched = false
  }
  return true
}

const evaluateLink = (
  state: State,
  unit: Unit,
  link: UnitLink,
  progress: Progress,
  isLate: () => boolean,
): boolean | undefined => {
  const isLast = progress.link === unit.links.length - 1
  if (link.test === undefined) {
    link.effects?.(state)
    if (isLast) record(state, unit)
    return true
  }
  const isGone =
    progress.link === 0 && state.removals.length > 0 ? removedTargets(state, unit) : undefined
  const trial: Trial = { state, unit, link, test: link.test(state), isLast, isGone }
  for (; progress.target < link.targets.length; progress.target++) {
    const target = link.targets[progress.target]
    if (target && !evaluateTarget(trial, target, progress, isLate)) return undefined
    progress.entry = 0
    progress.entries = undefined
  }
  return progress.matched
}

/** What stays the same while one link is tried on all its values. */
type Trial = {
  readonly state: State
  readonly unit: Unit
  readonly link: UnitLink
  readonly test: Test
  readonly isLast: boolean
  readonly isGone: IsGone
}

/** @returns Whether it came to the end. */
const evaluateTarget = (
  trial: Trial,
  target: UnitTarget,
  progress: Progress,
  isLate: () => boolean,
): boolean => {
  const { variable, variableName, key, accepts } = target
  const { state, isGone } = trial
  if (variable.kind === 'scalar' || (variableName === 'TX' && key !== undefined)) {
    const value = isGone?.(variableName, key ?? '')
      ? undefined
      : variable.kind === 'scalar'
        ? variable.read(state)
        : state.tx.get(key ?? '')
    if (target.count) tryCount(trial, target, value === undefined ? 0 : 1, progress)
    else if (value !== undefined)
      return tryPausing(trial, variableName, key ?? '', value, progress, isLate)
    return true
  }
  const entries = (progress.entries ??=
    variableName === 'TX' ? state.tx.select(accepts) : variable.read(state))
  let count = 0
  let bytes = 0
  for (; progress.entry < entries.values.length; progress.entry++) {
    const at = progress.entry
    const entryKey = entries.keys[at] ?? ''
    if (accepts && !accepts(entryKey)) continue
    if (isGone?.(variableName, entryKey)) continue
    count++
    if (target.count) continue
    const [name = '', value = ''] = [entries.names[at], entries.values[at]]
    if (!tryPausing(trial, variableName, name, value, progress, isLate)) return false
    bytes += value.length + bytesPerEntry
    if (bytes < bytesPerLook) continue
    bytes = 0
    if (isLate()) {
      progress.entry++
      return false
    }
  }
  if (target.count) tryCount(trial, target, count, progress)
  return true
}

const tryCount = (trial: Trial, target: UnitTarget, count: number, progress: Progress): void => {
  if (tryForm(trial, `&${target.variableName}`, target.key ?? '', String(count)))
    progress.matched = true
}

/** @returns Whether it came to the end; if not, call it again with the same value. */
const tryPausing = (
  trial: Trial,
  variableName: string,
  name: string,
  value: string,
  progress: Progress,
  isLate: () => boolean,
): boolean => {
  if (value.length <= longBytes && !trial.test.ask) {
    tryValue(trial, variableName, name, value, progress)
    return true
  }
  const running = (progress.running ??= trySlowly(trial, variableName, name, value, progress))
  for (let step = running.next(); step.done !== true; step = running.next()) {
    if (step.value) {
      trial.state.waiting = step.value
      return false
    }
    if (isLate()) return false
  }
  progress.running = undefined
  return true
}

/** Tries one long value in all the forms that the link wants, in pieces. */
const trySlowly = function* (
  trial: Trial,
  variableName: string,
  name: string,
  value: string,
  progress: Progress,
): Generator<Promise<void> | undefined, void> {
  const { transformations, multiMatch } = trial.link
  let form = value
  for (let i = -1; i < transformations.length; i++) {
    const next = i < 0 ? form : (transformations[i]?.apply(form) ?? form)
    const wanted = multiMatch ? i < 0 || next !== form : i === transformations.length - 1
    form = next
    if (wanted && (yield* tryFormSlowly(trial, variableName, name, form))) progress.matched = true
    yield
  }
}

/** Tries one value in all the forms that the link wants. */
const tryValue = (
  trial: Trial,
  variableName: string,
  name: string,
  value: string,
  progress: Progress,
): void => {
  const { transformations, multiMatch } = trial.link
  let form = value
  if ((multiMatch || transformations.length === 0) && tryForm(trial, variableName, name, form))
    progress.matched = true
  for (let i = 0; i < transformations.length; i++) {
    const next = transformations[i]?.apply(form) ?? form
    const wanted = multiMatch ? next !== form : i === transformations.length - 1
    form = next
    if (wanted && tryForm(trial, variableName, name, form)) progress.matched = true
  }
}

const tryForm = (trial: Trial, variableName: string, name: string, value: string): boolean => {
  const { link, test } = trial
  if (test.test(value) === link.negated) return false
  matchedForm(trial, variableName, name, value, () => test.capture?.(value) ?? [])
  return true
}

const tryFormSlowly = function* (
  trial: Trial,
  variableName: string,
  name: string,
  value: string,
): Generator<Promise<void> | undefined, boolean> {
  const { link, test } = trial
  if (!test.search && !test.ask) return tryForm(trial, variableName, name, value)
  const found = test.search ? yield* test.search(value) : yield* awaited(test.ask?.(value))
  if ((found !== undefined) === link.negated) return false
  matchedForm(trial, variableName, name, value, found ?? (() => []))
  return true
}

/** Pauses until it is there. */
const awaited = function* <Found>(
  promise: Promise<Found> | undefined,
): Generator<Promise<void>, Found | undefined> {
  let found: Found | undefined
  if (promise)
    yield promise.then((value) => {
      found = value
    })
  return found
}

/** What a match does: captures, effects, the record. */
const matchedForm = (
  { state, unit, link, test, isLast }: Trial,
  variableName: string,
  name: string,
  value: string,
  capture: () => readonly string[],
): void => {
  // Exact groups cost more than the verdict, so they are not sought where no one would see them.
  const isSeen = link.captureMatters || state.matches.length < maxMatches
  if (link.capture && isSeen && !link.negated) {
    const groups = capture()
    if (groups.length > 0) state.tx.capture(groups)
  }
  const matched = { name: nameOf(variableName, name), value }
  state.matchedVar = matched
  state.matchedVars.push(matched)
  if (test.locate && !link.negated) state.geo = test.locate(value) ?? noEntries
  link.effects?.(state)
  if (isLast) record(state, unit)
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
