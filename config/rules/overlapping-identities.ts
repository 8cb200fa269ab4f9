import type { Identities } from '../schema.ts'
import { tick, type Finding } from '../faults.ts'
import type { Entry, Rule } from './rule.ts'

type IdentityEntry = Entry<Identities[number]>

/**
 * One caller gets one identity: no two rules of an issuer may fit the claims of one token.
 *
 * Two rules keep apart when there is a claim for which they allow no value in common. (A claim that is a list may hold a
 * value of each; such a caller is refused when it comes.)
 */
export const overlappingIdentities: Rule = ({ identities }) => {
  const found: Finding[] = []
  for (const ofIssuer of byIssuer(identities).values())
    for (const [later, earlier] of pairsToCompare(ofIssuer))
      if (overlap(later, earlier))
        found.push({
          pointer: later.pointer,
          at: 'value',
          message: `identity rules ${tick(earlier.name)} and ${tick(later.name)} can fit the same caller`,
          remedy: 'give both a claim in `match` for which they allow no value in common',
        })
  return found
}

const byIssuer = (rules: readonly IdentityEntry[]) =>
  Map.groupBy(rules, ({ value }) => value.issuer)

/**
 * Pairs that may overlap. Rules that name the claim that most rules of the issuer name are compared only where they share
 * a value of it, so a thousand rules that differ by `sub` are not a million comparisons.
 */
function* pairsToCompare(
  rules: readonly IdentityEntry[],
): Iterable<readonly [IdentityEntry, IdentityEntry]> {
  const claim = commonestClaim(rules)
  const withValue = new Map<string, IdentityEntry[]>()
  const without: IdentityEntry[] = []
  const before: IdentityEntry[] = []
  for (const rule of rules) {
    const values = claim === undefined ? undefined : valuesOf(rule, claim)
    const candidates =
      values === undefined
        ? before
        : new Set([...without, ...values.flatMap((value) => withValue.get(value) ?? [])])
    for (const candidate of candidates) yield [rule, candidate]
    before.push(rule)
    if (values === undefined) without.push(rule)
    for (const value of values ?? []) {
      const sharing = withValue.get(value)
      if (sharing === undefined) withValue.set(value, [rule])
      else sharing.push(rule)
    }
  }
}

const commonestClaim = (rules: readonly IdentityEntry[]): string | undefined => {
  const counts = new Map<string, number>()
  for (const { value } of rules)
    for (const claim of Object.keys(value.match)) counts.set(claim, (counts.get(claim) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

const overlap = (a: IdentityEntry, b: IdentityEntry): boolean =>
  Object.keys(a.value.match).every((claim) => {
    const others = valuesOf(b, claim)
    return others === undefined || valuesOf(a, claim)?.some((value) => others.includes(value))
  })

/** The values that a rule allows for a claim; undefined when it does not look at it. */
const valuesOf = ({ value }: IdentityEntry, claim: string): readonly string[] | undefined => {
  if (!Object.hasOwn(value.match, claim)) return undefined
  const allowed = value.match[claim]
  return typeof allowed === 'string' ? [allowed] : allowed
}
