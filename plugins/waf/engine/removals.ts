import { selects } from '../seclang/parse-targets.ts'
import { idsInclude } from '../seclang/update-rules.ts'
import type { Removal, State } from './state.ts'
import type { Unit } from './unit.ts'

const concerns = (removal: Removal, unit: Unit): boolean => {
  if (removal.ids) return idsInclude(removal.ids, unit.rule.id)
  const { tag, msg } = removal
  if (tag) return unit.tags.some((text) => tag(text))
  return msg !== undefined && unit.rule.message !== undefined && msg(unit.rule.message.source)
}

/** Whether `ctl` took the rule out for this request. */
export const isRemoved = (state: State, unit: Unit): boolean =>
  state.removals.some((removal) => removal.target === undefined && concerns(removal, unit))

/** Which entries `ctl` took out of what a rule looks at; undefined if none. */
export const removedTargets = (
  state: State,
  unit: Unit,
): ((variable: string, key: string) => boolean) | undefined => {
  const targets = state.removals.flatMap((removal) =>
    removal.target && concerns(removal, unit) ? [removal.target] : [],
  )
  if (targets.length === 0) return undefined
  return (variable, key) =>
    targets.some((target) => target.variable === variable && selects(target.selector, key))
}
