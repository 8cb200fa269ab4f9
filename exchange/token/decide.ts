import { policyContractVersion, type PolicyEngine, type PolicyInput } from '#contract/policy'
import type { Problem } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { PolicyDecision } from '#contract/policy'
import { awsIssuerName } from '../aws/callers.ts'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { Issuers } from '#config/schema'
import type { SpiffeId } from '#contract/spiffe-id'

/** Asks the policy of an exchange; there may be none. */
export type ExchangePolicy = {
  readonly engine: PolicyEngine | undefined
  /** `requires` where a gateway asks. */
  readonly requires: Readonly<Record<string, unknown>>
  readonly trustDomain: string
  readonly issuers: Issuers
}

type Claimed = Pick<VerifiedToken, 'issuerName' | 'claims'>

export type PolicyQuestion = {
  readonly path: string
  readonly address: string
  readonly tlsVersion: string
  readonly clientSpiffeId: SpiffeId | undefined
  readonly subject: { readonly spiffeId: SpiffeId; readonly token: Claimed }
  /** Name and requirements of the grant; undefined where a gateway asks. */
  readonly grant:
    | { readonly name: string; readonly requires: Readonly<Record<string, unknown>> }
    | undefined
  readonly asked: NonNullable<PolicyInput['exchange']>
}

export type Decided = {
  readonly decision: PolicyDecision | undefined
  readonly problem: Problem | undefined
}

/** What the policy says; its decision is for the record whether it allows or denies. */
export const decideExchange = (
  policy: ExchangePolicy,
  question: PolicyQuestion,
  nowMs: number,
): Soon<Decided> =>
  policy.engine === undefined
    ? { decision: undefined, problem: undefined }
    : decideBy(policy.engine, policy, question, nowMs)

const decideBy = async (
  engine: PolicyEngine,
  { requires, trustDomain, issuers }: ExchangePolicy,
  { path, address, tlsVersion, clientSpiffeId, subject, grant, asked }: PolicyQuestion,
  nowMs: number,
): Promise<Decided> => {
  const decided = await engine.decide({
    version: policyContractVersion,
    nowMs: nowMs - (nowMs % 1000),
    direction: 'exchange',
    trustDomain,
    request: {
      method: 'POST',
      host: '',
      path,
      segments: path.slice(1).split('/'),
      query: '',
      headers: {},
    },
    route: {
      id: grant?.name ?? 'gateway',
      team: '',
      requires: grant?.requires ?? requires,
    },
    subject: describe(subject.spiffeId, subject.token, issuers),
    exchange: asked,
    tls: { version: tlsVersion, clientSpiffeId: clientSpiffeId ?? null },
    net: { address },
  })
  if (decided.ok) return { decision: decided.value, problem: undefined }
  const { problem } = decided
  const decision = problem.tag === 'policy-denied' ? (problem.cause as PolicyDecision) : undefined
  return { decision, problem }
}

const describe = (
  spiffeId: SpiffeId,
  { issuerName, claims: all }: Claimed,
  issuers: Issuers,
): PolicyInput['subject'] => {
  if (issuerName === awsIssuerName)
    return { spiffeId, issuer: null, kind: 'serverless', claims: { ...all } }
  const issuer = Object.hasOwn(issuers, issuerName) ? issuers[issuerName] : undefined
  // A token of ours has no issuer of the configuration: its scopes are all that it says.
  const names = issuer?.policyClaims ?? ['scope']
  const claims = Object.fromEntries(
    names.filter((name) => Object.hasOwn(all, name)).map((name) => [name, all[name]]),
  )
  return {
    spiffeId,
    issuer: issuer === undefined ? null : issuerName,
    kind: issuer?.kind ?? (all['legacy'] === undefined ? 'mesh' : 'legacy'),
    claims,
  }
}
