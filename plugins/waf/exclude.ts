import { textPattern } from './actions/control.ts'
import { parseIds } from './actions/control.ts'
import type { WafExclusion } from './options.ts'
import { parseTarget, removeTargets } from './seclang/parse-targets.ts'
import type { Entry, Rule } from './seclang/rule.ts'
import type { TargetRemoval } from './seclang/syntax.ts'
import { idsInclude } from './seclang/update-rules.ts'

/** Rule entries after exclusions, and what was wrong with them: a sentence for each that names no rule or no target. */
export type Excluded = { readonly entries: readonly Entry[]; readonly faults: readonly string[] }

/**
 * Takes rules out, or targets out of rules, whatever the order of phases. A target goes from all links of a chain. In
 * its key `*` stands for any run of characters; `/…/` is a pattern.
 */
export const excludeRules = (
  entries: readonly Entry[],
  exclusions: readonly WafExclusion[],
): Excluded => {
  const faults: string[] = []
  let kept = entries
  for (const exclusion of exclusions) {
    const { reason: _, ...named } = exclusion
    const name = JSON.stringify(named)
    try {
      const concerns = concernOf(exclusion)
      const target = exclusion.target === undefined ? undefined : readTarget(exclusion.target)
      let count = 0
      kept = kept.map((entry) => {
        if (entry.kind !== 'rule' || !concerns(entry.rule)) return entry
        count++
        if (!target) return { kind: 'marker', name: String(entry.rule.id) }
        return { kind: 'rule', rule: withoutTarget(entry.rule, target) }
      })
      if (count === 0) faults.push(`the exclusion ${name} names no rule`)
    } catch (cause) {
      if (!(cause instanceof TypeError)) throw cause
      faults.push(`the exclusion ${name}: ${cause.message}`)
    }
  }
  return { entries: kept, faults }
}

const concernOf = ({ rule, tag }: WafExclusion): ((candidate: Rule) => boolean) => {
  if ((rule === undefined) === (tag === undefined))
    throw new TypeError('exactly one of rule and tag is to be given')
  if (rule !== undefined) {
    const ids = parseIds(rule)
    return ({ id }) => idsInclude(ids, id)
  }
  const { test } = textPattern(tag ?? '')
  return ({ tags }) => tags.some((one) => test(one.source))
}

const withoutTarget = (rule: Rule, target: TargetRemoval): Rule => ({
  ...rule,
  links: rule.links.map((link) => ({ ...link, targets: removeTargets(link.targets, [target]) })),
})

const readTarget = (source: string): TargetRemoval => {
  const colon = source.indexOf(':')
  const key = colon < 0 ? '' : source.slice(colon + 1)
  if (!key.includes('*') || key.startsWith('/')) return parseTarget(source)
  const pattern = key
    .split('*')
    .map((part) => part.replace(/[\\^$.|?+()[\]{}]/g, '\\$&'))
    .join('.*')
  return parseTarget(`${source.slice(0, colon)}:/^${pattern}$/`)
}
