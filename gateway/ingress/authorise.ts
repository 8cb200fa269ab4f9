import {
  policyContractVersion,
  type PolicyDecision,
  type PolicyEngine,
  type PolicyInput,
} from '#contract/policy'
import type { Result } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { Origin } from '#http/forwarded'
import { oncePerToken } from '#identity/jwt/once-per-token'
import type { VerifiedToken } from '#identity/jwt/verified-token'
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
 * Asks the policy. It denies by default. A policy is a pure function of its input, which holds the time in whole seconds: who
 * asks for the same with the same token within one is told the same, without the input being put together again.
 *
 * @returns A step refusing with `policy-denied`, or `policy-failed` when no decision could be had.
 */
export const authorise = (
  engine: PolicyEngine,
  trustDomain: string,
  issuers: ReadonlyMap<string, IssuerForPolicy>,
): Step<Needs, PolicyDecision> => {
  const memoOf = oncePerToken((): Memo => ({ subject: undefined, last: undefined }))
  return (request) => {
    const { caller, subject, route } = request
    if (caller.kind !== 'token' || !subject) {
      const known = subject ? legacy(subject) : nobody
      return engine.decide(inputOf(request, trustDomain, known))
    }
    const memo = memoOf(caller.token)
    const { last } = memo
    if (last && isSame(last, request)) {
      engine.stands(last.decided)
      return last.decided
    }
    memo.subject ??= describe(caller.token, subject, issuers)
    const input = inputOf(request, trustDomain, memo.subject)
    const decided = engine.decide(input)
    const mayLast = caller.token.comesAgain && route.config.policy.headers.length === 0
    if (mayLast && !(decided instanceof Promise) && decided.ok)
      memo.last = { route, input, decided }
    return decided
  }
}

/** Of one token. */
type Memo = { subject: PolicyInput['subject'] | undefined; last: Asked | undefined }
type Asked = {
  readonly route: CompiledRoute
  readonly input: PolicyInput
  readonly decided: Result<PolicyDecision>
}

/** Everything of the input that is not the token's, the route's or fixed. */
const isSame = ({ route, input: { nowMs, request, tls, net } }: Asked, now: Needs): boolean => {
  const { head, origin, peer } = now
  return (
    route === now.route &&
    nowMs === secondOf(now.nowMs) &&
    request.path === head.path &&
    request.method === head.method &&
    request.host === head.host &&
    request.query === head.query &&
    net.address === origin.address &&
    tls.version === peer.tlsVersion
  )
}

const secondOf = (ms: number): number => ms - (ms % 1000)

const inputOf = (
  { head, origin, route, nowMs, peer }: Needs,
  trustDomain: string,
  subject: PolicyInput['subject'],
): PolicyInput => ({
  version: policyContractVersion,
  nowMs: secondOf(nowMs),
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
  subject,
  tls: { version: peer.tlsVersion, clientSpiffeId: null },
  net: { address: origin.address },
})

const nobody: PolicyInput['subject'] = Object.freeze({
  spiffeId: null,
  issuer: null,
  kind: 'anonymous',
  claims: Object.freeze({}),
})

const legacy = ({ spiffeId }: Subject): PolicyInput['subject'] => ({
  spiffeId,
  issuer: null,
  kind: 'legacy',
  claims: {},
})

const describe = (
  { issuerName, claims: all }: VerifiedToken,
  { spiffeId }: Subject,
  issuers: ReadonlyMap<string, IssuerForPolicy>,
): PolicyInput['subject'] => {
  const issuer = issuers.get(issuerName)
  const claims: Record<string, unknown> = {}
  for (const name of issuer?.policyClaims ?? [])
    if (Object.hasOwn(all, name)) claims[name] = all[name]
  return { spiffeId, issuer: issuerName, kind: issuer?.kind ?? 'external', claims }
}

const pick = (head: RequestHead, names: readonly string[]): Record<string, string> => {
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = headerOf(head, name)
    if (value !== undefined) picked[name] = value
  }
  return picked
}
