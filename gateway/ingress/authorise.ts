import {
  policyContractVersion,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
} from '#contract/policy'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { Origin } from '#http/forwarded'
import type { Caller } from './authenticate.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Subject } from './identify.ts'
import type { Received } from './received.ts'

type Needs = Pick<Received, 'nowMs' | 'peer'> & {
  readonly head: RequestHead
  readonly origin: Origin
  readonly route: CompiledRoute
  readonly caller: Caller
  readonly subject: Subject | null
}

/** What the policy may know of an issuer's callers. */
export type IssuerForPolicy = {
  readonly kind: PolicyInput['subject']['kind']
  readonly policyClaims: readonly string[]
}

/**
 * Asks the policy. It denies by default.
 *
 * @returns A step refusing with `policy-denied`, or `policy-failed` when no decision could be had.
 */
export const authorise =
  (
    engine: PolicyEngine,
    trustDomain: string,
    issuers: ReadonlyMap<string, IssuerForPolicy>,
  ): Step<Needs, PolicyDecision> =>
  ({ head, origin, route, caller, subject, nowMs, peer }) =>
    engine.decide({
      version: policyContractVersion,
      nowMs: nowMs - (nowMs % 1000),
      direction: 'ingress',
      trustDomain,
      request: {
        method: head.method,
        host: head.host,
        path: head.path,
        segments: head.path.slice(1).split('/'),
        query: head.query,
        headers: pick(head, route.config.policy.headers),
      },
      route: { id: route.id, team: route.team, requires: route.config.policy.requires },
      subject: describe(caller, subject, issuers),
      tls: { version: peer.tlsVersion, clientSpiffeId: null },
      net: { address: origin.address },
    })

const nobody: PolicyInput['subject'] = Object.freeze({
  spiffeId: null,
  issuer: null,
  kind: 'anonymous',
  claims: Object.freeze({}),
})

const describe = (
  caller: Caller,
  subject: Subject | null,
  issuers: ReadonlyMap<string, IssuerForPolicy>,
): PolicyInput['subject'] => {
  if (caller.kind === 'anonymous' || !subject) return nobody
  if (caller.kind === 'legacy')
    return { spiffeId: subject.spiffeId, issuer: null, kind: 'legacy', claims: {} }
  const { issuerName, claims: all } = caller.token
  const issuer = issuers.get(issuerName)
  const claims: Record<string, unknown> = {}
  for (const name of issuer?.policyClaims ?? [])
    if (Object.hasOwn(all, name)) claims[name] = all[name]
  return {
    spiffeId: subject.spiffeId,
    issuer: issuerName,
    kind: issuer?.kind ?? 'external',
    claims,
  }
}

const pick = (head: RequestHead, names: readonly string[]): Record<string, string> => {
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = headerOf(head, name)
    if (value !== undefined) picked[name] = value
  }
  return picked
}
