import { parseIds, textPattern } from '../actions/control.ts'
import type { Draft } from './draft.ts'
import { parseActions } from './parse-actions.ts'
import { parseTargets, parseTarget, removeTargets } from './parse-targets.ts'
import type { Rule } from './rule.ts'
import type { IdRange, TargetRemoval } from './syntax.ts'

export const idsInclude = (ids: readonly IdRange[], id: number): boolean =>
  ids.some(([from, to]) => id >= from && id <= to)

const changeRules = (
  draft: Draft,
  concerns: (rule: Rule) => boolean,
  change: (rule: Rule) => Rule | undefined,
): number => {
  let count = 0
  for (let i = draft.entries.length - 1; i >= 0; i--) {
    const entry = draft.entries[i]
    if (entry?.kind !== 'rule' || !concerns(entry.rule)) continue
    count++
    const changed = change(entry.rule)
    if (changed) draft.entries[i] = { kind: 'rule', rule: changed }
    // A skipAfter may name the rule, so its place stays.
    else draft.entries[i] = { kind: 'marker', name: String(entry.rule.id) }
  }
  return count
}

const byId = (text: string) => {
  const ids = parseIds(text)
  return (rule: Rule) => idsInclude(ids, rule.id)
}
const byTag = (text: string) => {
  const { test } = textPattern(text)
  return (rule: Rule) => rule.tags.some((tag) => test(tag.source))
}
const byMessage = (text: string) => {
  const { test } = textPattern(text)
  return (rule: Rule) => rule.message !== undefined && test(rule.message.source)
}
const selectors = { Id: byId, Tag: byTag, Msg: byMessage } as const
type By = keyof typeof selectors

/** SecRuleRemoveById, ByTag, ByMsg. Counts the rules it concerned. */
export const removeRules =
  (by: By) =>
  (draft: Draft, words: readonly string[]): number =>
    words.reduce((sum, word) => sum + changeRules(draft, selectors[by](word), () => undefined), 0)

/** SecRuleUpdateTargetById, ByTag, ByMsg. Of a chain the first rule is meant, as in ModSecurity. */
export const updateTargets =
  (by: By) =>
  (draft: Draft, words: readonly string[]): number => {
    const [which, targets, replaced] = words
    if (which === undefined || targets === undefined)
      throw new TypeError('takes rules and variables')
    const removals = removalsIn(targets)
    const added = parseTargets(targets)
    const gone = replaced === undefined ? [] : [parseTarget(replaced)]
    return changeRules(draft, selectors[by](which), (rule) => {
      const [head, ...links] = rule.links
      if (!head) return rule
      const kept = removeTargets(head.targets, [...removals, ...gone])
      return { ...rule, links: [{ ...head, targets: [...kept, ...added] }, ...links] }
    })
  }

/** What a list of variables takes out: `!NAME:key`. */
const removalsIn = (source: string): readonly TargetRemoval[] => {
  // Reading the exclusions as targets of a rule that has everything would lose them, so they are read on their own.
  const items = source.match(/!(?:[^|/]|\/(?:\\.|[^\\/])*\/)+/g) ?? []
  return items.map((item) => parseTarget(item.slice(1)))
}

/** SecRuleUpdateActionById. */
export const updateActions = (draft: Draft, words: readonly string[]): number => {
  const [which, source] = words
  if (which === undefined || source === undefined) throw new TypeError('takes a rule and actions')
  const actions = parseActions(source)
  if (actions.id !== undefined || actions.chain)
    throw new TypeError('id and chain of a rule cannot be changed')
  return changeRules(draft, byId(which), (rule) => {
    const defaults = draft.defaults.get(rule.phase)
    const own = actions.disruption ?? rule.disruption
    const [head, ...links] = rule.links
    return {
      ...rule,
      disruption: own.kind === 'block' ? (defaults?.disruption ?? { kind: 'pass' }) : own,
      status: actions.status ?? rule.status,
      log: actions.log ?? rule.log,
      auditLog: actions.auditLog ?? rule.auditLog,
      message: actions.message ?? rule.message,
      logData: actions.logData ?? rule.logData,
      severity: actions.severity ?? rule.severity,
      tags: [...rule.tags, ...actions.tags],
      skipAfter: actions.skipAfter ?? rule.skipAfter,
      links: head
        ? [{ ...head, effects: [...head.effects, ...actions.effects] }, ...links]
        : rule.links,
    }
  })
}
