import type { EgressDecision } from '#contract/egress'
import {
  policyContractVersion,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
} from '#contract/policy'
import { pass } from '#contract/problem'
import type { Step } from '#contract/step'
import { placeOf } from './allow.ts'
import type { Workload } from './identify.ts'
import type { Ask } from './read-ask.ts'
import type { EgressReceived } from './received.ts'

type Needs = Pick<EgressReceived, 'door' | 'nowMs' | 'peer' | 'certificate'> & {
  readonly ask: Ask
  readonly workload: Workload
  readonly decision: EgressDecision
}

/** The policy that decides further what the rules allow, and what each rule tells it. */
export type EgressPolicy = {
  readonly engine: PolicyEngine
  readonly trustDomain: string
  /** By rule. */
  readonly requires: ReadonlyMap<string, Readonly<Record<string, unknown>>>
}

/**
 * Asks the policy about what the rules allow; it denies by default. Where there is none the rules alone decide.
 *
 * @returns A step refusing with `policy-denied`, or `policy-failed` when no decision could be had.
 */
export const authorise =
  (policy: EgressPolicy | undefined): Step<Needs, PolicyDecision | undefined> =>
  (request) =>
    policy ? policy.engine.decide(inputOf(policy, request)) : pass(undefined)

const nothing = Object.freeze({})

const inputOf = (
  { trustDomain, requires }: EgressPolicy,
  { ask, workload, decision, door, nowMs, peer, certificate }: Needs,
): PolicyInput => {
  const { host, port } = placeOf({ ask, decision })
  const seen = ask.kind === 'request' ? ask.head : { method: 'CONNECT', path: '', query: '' }
  return {
    version: policyContractVersion,
    nowMs: nowMs - (nowMs % 1000),
    direction: 'egress',
    trustDomain,
    request: {
      method: seen.method,
      host,
      path: seen.path,
      segments: seen.path === '' ? [] : seen.path.slice(1).split('/'),
      query: seen.query,
      headers: nothing,
    },
    route: {
      id: decision.rule,
      team: decision.team,
      requires: requires.get(decision.rule) ?? nothing,
    },
    subject: { spiffeId: workload.spiffeId, issuer: null, kind: 'mesh', claims: nothing },
    egress: {
      port,
      protocol: decision.protocol,
      reason: decision.reason,
      asks: ask.kind === 'tunnel' ? 'tunnel' : door === 'upgrade' ? 'web-socket' : 'request',
      credential: decision.credential ?? null,
    },
    tls: {
      version: peer.tlsVersion,
      clientSpiffeId: certificate.kind === 'svid' ? certificate.spiffeId : null,
    },
    net: { address: peer.address },
  }
}
