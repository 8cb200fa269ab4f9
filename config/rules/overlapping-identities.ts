import { spiffeIdPatternsOverlap } from '#contract/spiffe-id-pattern'
import { unnamedSpiffeIdPattern } from '#contract/named-spiffe-id-pattern'
import type { Identities } from '../schema.ts'
import { tick, type Finding } from '../faults.ts'
import { maxPairs, type Entry, type Rule } from './rule.ts'

type IdentityEntry = Entry<Identities[number]>

/** Claims that usually hold several values at a time, by their last name. */
const listClaims = new Set([
  'amr',
  'aud',
  'cognito:groups',
  'entitlements',
  'groups',
  'permissions',
  'roles',
  'scp',
  'wids',
])

/**
 * One caller gets one identity: no two rules of an issuer may fit the claims of one token.
 *
 * Two rules keep apart when there is a claim for which they allow no value in common. If that is one that usually is a
 * list, a caller may still have a value of each, and is refused then: that is a warning.
 */
export const overlappingIdentities: Rule = ({ identities }) => {
  const found: Finding[] = []
  for (const ofIssuer of byIssuer(identities).values())
    for (const [later, earlier] of pairsToCompare(ofIssuer)) {
      if (found.length >= maxPairs) return found
      if (subjectsApart(later, earlier)) continue
      const apart = Object.keys(later.value.match).filter((claim) =>
        areApart(claim, later, earlier),
      )
      if (apart.length === 0) found.push(certain(later, earlier))
      else if (apart.every(isUsuallyList)) found.push(possible(later, earlier, apart[0] ?? ''))
    }
  return found
}

const certain = (later: IdentityEntry, earlier: IdentityEntry): Finding => ({
  pointer: later.pointer,
  at: 'value',
  message: `identity rules ${tick(earlier.name)} and ${tick(later.name)} can fit the same caller`,
  remedy: 'give both a claim in `match` for which they allow no value in common',
})

const possible = (later: IdentityEntry, earlier: IdentityEntry, claim: string): Finding => ({
  severity: 'warning',
  pointer: later.pointer,
  at: 'value',
  message: `identity rules ${tick(earlier.name)} and ${tick(later.name)} both fit a caller whose ${tick(claim)} has a value of each; it is refused`,
  remedy: 'tell them apart by a claim that has one value',
})

const areApart = (claim: string, a: IdentityEntry, b: IdentityEntry): boolean => {
  const [one, other] = [valuesOf(a, claim), valuesOf(b, claim)]
  return one !== undefined && other !== undefined && !one.some((value) => other.includes(value))
}

/** No `sub` fits both. */
const subjectsApart = (a: IdentityEntry, b: IdentityEntry): boolean => {
  if (a.value.subject === undefined && b.value.subject === undefined) return false
  const [one, other] = [subjectsOf(a), subjectsOf(b)]
  return (
    one !== undefined &&
    other !== undefined &&
    !one.some((left) => other.some((right) => spiffeIdPatternsOverlap(left, right)))
  )
}

/** Patterns of the SPIFFE IDs that `sub` may be; undefined where it may be any. */
const subjectsOf = (rule: IdentityEntry): readonly string[] | undefined =>
  rule.value.subject === undefined
    ? valuesOf(rule, 'sub')?.filter((value) => value.startsWith('spiffe://'))
    : [unnamedSpiffeIdPattern(rule.value.subject)]

const isUsuallyList = (claim: string): boolean => listClaims.has(claim.split('.').at(-1) ?? claim)

const byIssuer = (rules: readonly IdentityEntry[]) =>
  Map.groupBy(rules, ({ value }) => value.issuer)

/**
 * Pairs that may overlap. Of the claims with one value, the one that most rules name is taken: two rules that name it are
 * compared only where they share a value, so a thousand rules that differ by `sub` are not a million comparisons.
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
    for (const claim of Object.keys(value.match).filter((name) => !isUsuallyList(name)))
      counts.set(claim, (counts.get(claim) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)[0]?.[0]
}

/** The values that a rule allows for a claim; undefined when it does not look at it. */
const valuesOf = ({ value }: IdentityEntry, claim: string): readonly string[] | undefined => {
  if (!Object.hasOwn(value.match, claim)) return undefined
  const allowed = value.match[claim]
  return typeof allowed === 'string' ? [allowed] : allowed
}
