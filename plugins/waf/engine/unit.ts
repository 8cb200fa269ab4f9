import type { Test } from '../operators/operator.ts'
import type { Link, Rule } from '../seclang/rule.ts'
import type { Transformation } from '../transformations/transformation.ts'
import { transformations } from '../transformations/table.ts'
import { acceptsOf } from './accepts.ts'
import { compileEffects } from './effects.ts'
import type { FoldedRule } from './fold.ts'
import { compileMacro } from './read-macro.ts'
import type { State } from './state.ts'
import { findVariable, type Variable } from './variables.ts'

/** One variable that a link looks at, resolved. */
export type UnitTarget = {
  readonly variable: Variable
  readonly variableName: string
  /** The key that alone is chosen, if there is one. */
  readonly key: string | undefined
  readonly accepts: ((key: string) => boolean) | undefined
  readonly count: boolean
}

/** One condition, its words resolved to functions. */
export type UnitLink = {
  /** Undefined: holds always. */
  readonly test: ((state: State) => Test) | undefined
  readonly negated: boolean
  readonly targets: readonly UnitTarget[]
  readonly transformations: readonly Transformation[]
  readonly multiMatch: boolean
  readonly capture: boolean
  readonly effects: ((state: State) => void) | undefined
  /** Something besides the record reads TX.0 to TX.9 after it. */
  readonly captureMatters: boolean
}

/** A rule ready to run, at its place in the list of its phase. */
export type Unit = {
  readonly rule: Rule
  readonly links: readonly UnitLink[]
  /** The unit to go on with after a match; -1 for the next. */
  readonly skipTo: number
  /** Texts of its tags, which exclusions by tag look at. */
  readonly tags: readonly string[]
  readonly message: ((state: State) => string) | undefined
  readonly logData: ((state: State) => string) | undefined
}

export const compileUnit = ({ rule, links, skipTo }: FoldedRule): Unit => ({
  rule,
  links: links.map((link) => compileLink(link, readsCaptures(links))),
  skipTo,
  tags: rule.tags.map((tag) => tag.source),
  message: rule.message && compileMacro(rule.message),
  logData: rule.logData && compileMacro(rule.logData),
})

const compileLink = (link: Link, captureMatters: boolean): UnitLink => ({
  captureMatters,
  test: testOf(link),
  negated: link.operator?.negated === true,
  targets: link.targets.flatMap((target) => {
    const variable = findVariable(target.variable)
    if (!variable) return []
    const { selector } = target
    return [
      {
        variable,
        variableName: target.variable,
        key: selector.kind === 'key' ? selector.key : undefined,
        accepts: acceptsOf(target),
        count: target.count,
      },
    ]
  }),
  transformations: link.transformations.map((name) => transformations[name]),
  multiMatch: link.multiMatch,
  capture: link.capture,
  effects: link.effects.length === 0 ? undefined : compileEffects(link.effects),
})

const readsCaptures = (links: readonly Link[]): boolean =>
  links.some(
    ({ targets, operator, effects }) =>
      targets.some(
        ({ variable, selector }) =>
          variable === 'TX' && selector.kind === 'key' && /^\d$/.test(selector.key),
      ) ||
      capturePattern.test(operator?.argument.source ?? '') ||
      effects.some(
        (effect) => effect.kind === 'setvar' && capturePattern.test(JSON.stringify(effect)),
      ),
  )
const capturePattern = /%\{tx\.\d\}/i

const testOf = (link: Link): ((state: State) => Test) | undefined => {
  const { operator, test } = link
  if (operator === undefined) return undefined
  if (test) return () => test
  const expand = compileMacro(operator.argument)
  return (state) => link.compile(expand(state))
}
