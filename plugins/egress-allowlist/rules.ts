import type { EgressMode, EgressTarget } from '#contract/egress'
import { destinations, type Found } from './destinations.ts'
import { spiffeIdPattern, type SpiffeIdPattern } from '#contract/spiffe-id-pattern'
import type { EgressRule } from './options.ts'

/** A rule that is ready to be asked. */
export type CompiledRule = {
  readonly id: string
  readonly team: string
  readonly mode: EgressMode
  readonly find: (target: EgressTarget) => Found
}

/**
 * Makes the function that finds the one rule of a workload: an exact SPIFFE ID goes before a pattern, the closer pattern
 * before the wider, and of two that are equally close the first, which `sallyport check` does not let pass.
 *
 * @throws TypeError for two rules of one id, or with the same workload.
 */
export const ruleFinder = (
  rules: readonly EgressRule[],
): ((spiffeId: string) => CompiledRule | undefined) => {
  const exact = new Map<string, CompiledRule>()
  const patterns: { readonly pattern: SpiffeIdPattern; readonly rule: CompiledRule }[] = []
  const ids = new Set<string>()
  const seen = new Set<string>()
  for (const { id, team, mode, workloads, destinations: options } of rules) {
    if (ids.has(id)) throw new TypeError(`two egress rules are called ${id}`)
    ids.add(id)
    const rule: CompiledRule = { id, team, mode, find: destinations(options) }
    for (const text of workloads) {
      if (seen.has(text)) throw new TypeError(`two egress rules are for ${text}`)
      seen.add(text)
      const pattern = spiffeIdPattern(text)
      if (pattern.isExact) exact.set(text, rule)
      else patterns.push({ pattern, rule })
    }
  }
  patterns.sort((a, b) => b.pattern.rank - a.pattern.rank)
  return (spiffeId) =>
    exact.get(spiffeId) ?? patterns.find(({ pattern }) => pattern.matches(spiffeId))?.rule
}
