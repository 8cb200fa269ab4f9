import { hash } from 'node:crypto'
import { namedSpiffeIdPattern, type NamedSpiffeIdPattern } from '#contract/named-spiffe-id-pattern'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { IdentityRule } from '#config/schema'
import { claimPath, type ClaimPath } from './claim-path.ts'
import type { VerifiedToken } from './jwt/verified-token.ts'
import { compileTemplate, type Template } from './mapping-template.ts'

/** Who a caller is in the mesh, and the name of the rule that says so. */
export type MappedIdentity = {
  readonly spiffeId: SpiffeId
  readonly rule: string
  /** Of all rules: another if any of them is. */
  readonly revision: string
}

export type IdentityMapping = (token: VerifiedToken) => Result<MappedIdentity>

type Condition = { readonly claim: ClaimPath; readonly values: ReadonlySet<string> }
type CompiledRule = {
  readonly name: string
  readonly subject: NamedSpiffeIdPattern | undefined
  readonly conditions: readonly Condition[]
  readonly template: Template
}
/** The rules of one issuer, those that ask for a value of `claim` found by that value. */
type IssuerRules = {
  readonly claim: ClaimPath
  readonly byValue: ReadonlyMap<string, readonly CompiledRule[]>
  readonly others: readonly CompiledRule[]
}

/**
 * Compiles who becomes whom into a pure function, which gateway and exchange both run.
 *
 * A rule holds if each claim of `match` has the value, or one of the values; a claim that is a list has to contain it.
 * Booleans and numbers are compared as JSON writes them (`true`, `42`). Claims are named as `claimPath` reads them, so
 * `realm_access.roles` is nested. Exactly one rule has to hold. Rules of other issuers are never looked at, and of many
 * rules of one issuer only those that could hold.
 *
 * A `subject` is a SPIFFE ID that `sub` has to be, with names for segments, which `spiffeId` can use as if they were claims.
 *
 * A `{claim}` in `spiffeId` stands for a string that is fit to be one path segment by itself, so no claim can add a `/`
 * or a `..`.
 *
 * @param reserved SPIFFE IDs of the mesh's own parts: no caller becomes the gateway or the exchange, whatever its claims.
 * @returns A function refusing with `identity-unmapped`; the record says why.
 * @throws Error for a rule whose `spiffeId` cannot be one of `trustDomain`: `check` reports that earlier.
 */
export const identityMapping = (
  rules: readonly IdentityRule[],
  trustDomain: string,
  reserved: ReadonlySet<string> = new Set(),
): IdentityMapping => {
  const revision = hash('sha256', JSON.stringify(rules)).slice(0, 12)
  const byIssuer = new Map<string, IssuerRules>()
  for (const [issuer, own] of Map.groupBy(rules, (rule) => rule.issuer))
    byIssuer.set(issuer, indexRules(own, trustDomain))
  return (token) => {
    const own = byIssuer.get(token.issuerName)
    if (!own) return unmapped(`no rule is for issuer ${token.issuerName}`)
    const holding = candidates(own, token).filter((rule) => holds(rule, token))
    const [rule, second] = holding
    if (!rule) return unmapped(`no rule for issuer ${token.issuerName} fits the claims`)
    if (second)
      return unmapped(`rules ${holding.map(({ name }) => name).join(', ')} all fit: one may`)
    const named = rule.subject?.(token.claims['sub'])
    const spiffeId = rule.template(named ? { ...token.claims, ...named } : token.claims)
    if (!spiffeId.ok) return unmapped(`rule ${rule.name}: ${spiffeId.fault}`)
    if (reserved.has(spiffeId.value))
      return unmapped(`rule ${rule.name} gives ${spiffeId.value}, which is reserved`)
    return pass({ spiffeId: spiffeId.value, rule: rule.name, revision })
  }
}

const indexRules = (rules: readonly IdentityRule[], trustDomain: string): IssuerRules => {
  const indexedBy = mostMatchedClaim(rules)
  const byValue = new Map<string, CompiledRule[]>()
  const others: CompiledRule[] = []
  for (const rule of rules) {
    const compiled = compileRule(rule, trustDomain)
    const wanted = rule.match[indexedBy]
    if (wanted === undefined) others.push(compiled)
    else
      for (const value of listOf(wanted)) {
        const sameValue = byValue.get(value)
        if (sameValue) sameValue.push(compiled)
        else byValue.set(value, [compiled])
      }
  }
  return { claim: claimPath(indexedBy), byValue, others }
}

const mostMatchedClaim = (rules: readonly IdentityRule[]): string => {
  const counts = new Map<string, number>()
  for (const rule of rules)
    for (const claim of Object.keys(rule.match)) counts.set(claim, (counts.get(claim) ?? 0) + 1)
  const [most] = [...counts].toSorted(([, one], [, other]) => other - one)
  return most?.[0] ?? 'sub'
}

const compileRule = (rule: IdentityRule, trustDomain: string): CompiledRule => {
  const template = compileTemplate(rule.spiffeId, trustDomain)
  if (!template.ok) throw new Error(`identities: rule ${rule.name}: ${template.fault}`)
  return {
    name: rule.name,
    template: template.value,
    subject: rule.subject === undefined ? undefined : namedSpiffeIdPattern(rule.subject),
    conditions: Object.entries(rule.match).map(([claim, wanted]) => ({
      claim: claimPath(claim),
      values: new Set(listOf(wanted)),
    })),
  }
}

/** Of many rules only those that can hold; what is left out asks for another value of the claim. */
const candidates = (rules: IssuerRules, { claims }: VerifiedToken): readonly CompiledRule[] => {
  const value = rules.claim(claims)
  if (!Array.isArray(value)) {
    const own = withValue(rules, value)
    return rules.others.length === 0 ? own : [...own, ...rules.others]
  }
  // A list may name one rule several times.
  return [...new Set(value.flatMap((one) => withValue(rules, one))), ...rules.others]
}

const withValue = ({ byValue }: IssuerRules, value: unknown): readonly CompiledRule[] => {
  const text = comparable(value)
  return (text === undefined ? undefined : byValue.get(text)) ?? []
}

const holds = ({ subject, conditions }: CompiledRule, { claims }: VerifiedToken): boolean =>
  (subject === undefined || subject(claims['sub']) !== undefined) &&
  conditions.every(({ claim, values }) => {
    const value = claim(claims)
    return Array.isArray(value) ? value.some((one) => isAmong(values, one)) : isAmong(values, value)
  })

const isAmong = (values: ReadonlySet<string>, value: unknown): boolean => {
  const text = comparable(value)
  return text !== undefined && values.has(text)
}

/** A value as `match` writes it. Lists within lists, objects and null have no such form. */
const comparable = (value: unknown): string | undefined => {
  if (typeof value === 'string') return value
  return typeof value === 'boolean' || typeof value === 'number' ? JSON.stringify(value) : undefined
}

const listOf = (wanted: string | readonly string[]): readonly string[] =>
  typeof wanted === 'string' ? [wanted] : wanted

const unmapped = (cause: string): Refusal => refuse('identity-unmapped', { cause })
