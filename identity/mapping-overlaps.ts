import type { IdentityRule } from '#config/schema'

/** Two rules of one issuer that can hold for one caller, which would then have no identity at all. */
export type Overlap = {
  readonly first: string
  readonly second: string
  /**
   * `certain`: claims with one value each can fit both. `list`: only if this claim, which usually is a list, has a value
   * of both; nobody but the issuer knows whether it can.
   */
  readonly kind: 'certain' | 'list'
  /** The list claim, for `list`. */
  readonly claim?: string
}

/** Claims that hold several values at a time, by their last name. */
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
 * Finds rules that can hold at once, for `check`. Two rules of one issuer exclude each other only if both name a claim
 * and have no value of it in common.
 */
export const findOverlaps = (rules: readonly IdentityRule[]): readonly Overlap[] => {
  const overlaps: Overlap[] = []
  for (const own of Map.groupBy(rules, (rule) => rule.issuer).values())
    own.forEach((first, at) => {
      for (const second of own.slice(at + 1)) {
        const overlap = overlapOf(first, second)
        if (overlap) overlaps.push(overlap)
      }
    })
  return overlaps
}

const overlapOf = (first: IdentityRule, second: IdentityRule): Overlap | undefined => {
  const names = { first: first.name, second: second.name }
  const apart = Object.keys(first.match).filter((claim) => areApart(claim, first, second))
  if (apart.length === 0) return { ...names, kind: 'certain' }
  const [claim] = apart
  return claim !== undefined && apart.every(isUsuallyList)
    ? { ...names, kind: 'list', claim }
    : undefined
}

const areApart = (claim: string, first: IdentityRule, second: IdentityRule): boolean => {
  const [one, other] = [first.match[claim], second.match[claim]]
  if (one === undefined || other === undefined) return false
  const values = new Set([one].flat())
  return ![other].flat().some((value) => values.has(value))
}

const isUsuallyList = (claim: string): boolean => listClaims.has(claim.split('.').at(-1) ?? claim)
