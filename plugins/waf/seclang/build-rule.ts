import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { noActions } from '../actions/action.ts'
import type { Test } from '../operators/operator.ts'
import { operators } from '../operators/table.ts'
import type { TransformationName } from '../transformations/table.ts'
import type { Draft } from './draft.ts'
import { parseActions } from './parse-actions.ts'
import { parseOperator } from './parse-operator.ts'
import { parseTargets } from './parse-targets.ts'
import type { Link, Rule } from './rule.ts'
import type { Actions, OperatorUse, Place, Target } from './syntax.ts'

/** Adds a SecRule, or a link of the chain before it. @throws TypeError */
export const addRule = (draft: Draft, words: readonly string[], place: Place): void => {
  const [targets, operator, actions = '', ...more] = words
  if (targets === undefined || operator === undefined || more.length > 0)
    throw new TypeError('SecRule takes variables, an operator and actions')
  add(draft, place, parseActions(actions), parseTargets(targets), parseOperator(operator))
}

/** Adds a SecAction. @throws TypeError */
export const addAction = (draft: Draft, words: readonly string[], place: Place): void => {
  const [actions, ...more] = words
  if (actions === undefined || more.length > 0) throw new TypeError('SecAction takes actions')
  add(draft, place, parseActions(actions), [], undefined)
}

const add = (
  draft: Draft,
  place: Place,
  actions: Actions,
  targets: readonly Target[],
  operator: OperatorUse | undefined,
): void => {
  const link = linkOf(draft, place, actions, targets, operator)
  if (draft.chainOpen) {
    const last = draft.entries.at(-1)
    if (actions.id !== undefined) throw new TypeError('only the first rule of a chain has an id')
    if (last?.kind === 'rule')
      draft.entries[draft.entries.length - 1] = {
        kind: 'rule',
        rule: { ...last.rule, links: [...last.rule.links, link] },
      }
  } else draft.entries.push({ kind: 'rule', rule: ruleOf(draft, place, actions, link) })
  draft.chainOpen = actions.chain
}

const ruleOf = (draft: Draft, place: Place, actions: Actions, link: Link): Rule => {
  const { id } = actions
  if (id === undefined) throw new TypeError('a rule needs an id')
  const known = draft.ids.get(id)
  if (known !== undefined) throw new TypeError(`the id ${id} is taken, by ${known}`)
  draft.ids.set(id, `${place.file}:${place.line}`)
  const phase = actions.phase ?? 2
  const defaults = draft.defaults.get(phase) ?? noActions
  const own = actions.disruption ?? { kind: 'block' }
  const disruption = own.kind === 'block' ? (defaults.disruption ?? { kind: 'pass' }) : own
  return {
    ...place,
    id,
    phase,
    links: [withDefaults(link, actions, defaults)],
    disruption,
    status: actions.status ?? defaults.status ?? (disruption.kind === 'redirect' ? 302 : 403),
    log: actions.log ?? defaults.log ?? true,
    auditLog: actions.auditLog ?? defaults.auditLog ?? true,
    message: actions.message,
    logData: actions.logData,
    severity: actions.severity,
    tags: [...defaults.tags, ...actions.tags],
    version: actions.version,
    skip: actions.skip ?? 0,
    skipAfter: actions.skipAfter,
  }
}

/** A default action's transformations come before those of the rule, unless it says `t:none`. */
const withDefaults = (link: Link, actions: Actions, defaults: Actions): Link =>
  defaults.transformations.length === 0
    ? link
    : {
        ...link,
        transformations: resolveTransformations([
          ...defaults.transformations,
          ...actions.transformations,
        ]),
      }

const resolveTransformations = (
  written: readonly (TransformationName | 'none')[],
): readonly TransformationName[] =>
  written
    .slice(written.lastIndexOf('none') + 1)
    .filter((name): name is TransformationName => name !== 'none')

const linkOf = (
  draft: Draft,
  place: Place,
  actions: Actions,
  targets: readonly Target[],
  operator: OperatorUse | undefined,
): Link => {
  const compile = (argument: string): Test =>
    operator === undefined ? always : compileTest(draft, operator, argument, place)
  return {
    ...place,
    targets,
    operator,
    compile,
    test: operator === undefined ? compile('') : textTest(operator, compile),
    transformations: resolveTransformations(actions.transformations),
    multiMatch: actions.multiMatch,
    capture: actions.capture,
    effects: actions.effects,
  }
}

const always: Test = { test: () => true }

const textTest = (operator: OperatorUse, compile: (argument: string) => Test): Test | undefined =>
  operator.argument.text === undefined ? undefined : compile(operator.argument.text)

const compileTest = (draft: Draft, { name }: OperatorUse, argument: string, place: Place): Test => {
  const folder = dirname(place.file)
  const key = `${name}\n${folder}\n${argument}`
  const known = draft.tests.get(key)
  if (known) return known
  const test = operators[name](argument, {
    readFile: (file) => readRuleData(folder, file),
    settings: () => draft.settings,
    askBlockList: draft.askBlockList,
  })
  // A macro can make arguments without end out of requests: those are not kept.
  if (draft.tests.size < 5000) draft.tests.set(key, test)
  return test
}

/** Data files are read as latin1, like everything that is matched. @throws TypeError */
const readRuleData = (folder: string, name: string): string => {
  const file = resolve(folder, name)
  try {
    return readFileSync(file, 'latin1')
  } catch (cause) {
    throw new TypeError(`cannot read ${file}`, { cause })
  }
}
