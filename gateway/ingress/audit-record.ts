import { auditEventVersion, type AuditEvent } from '#contract/audit-event'
import { causeText } from '#contract/cause'
import { isoTime, isoTimes } from '#contract/clock'
import type { InspectionRecord } from '#contract/inspection'
import { oncePer } from '#contract/once-per'
import type { PolicyDecision } from '#contract/policy'
import { problems, type Problem } from '#contract/problem'
import type { QuarantineEntry } from '#contract/quarantine'
import type { Quota } from '#contract/quota'
import type { Peer } from '#http/peer'
import { oncePerToken } from '#identity/jwt/once-per-token'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import { forwardStep, type Ending } from '../answer.ts'
import type { Mint } from '../mint-cache.ts'
import { quarantineRecord } from '../quarantine-record.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'

/** What is put into a record of a token's fingerprint: enough to find it again, not enough to be one. */
const fingerprintChars = 16

type Writable<T> = { -readonly [Key in keyof T]: T[Key] }

/**
 * Makes the one record of a request: every fact that was learned before it ended, and how it ended. What is said of a route,
 * an endpoint, a token or a minted identity is the same, frozen object in all records of it; of a token only once it
 * comes again, of an identity once it comes from the cache: many come but once.
 */
export const auditRecords = (): ((ending: Ending<Received, Admitted>) => AuditEvent) => {
  const timeOf = isoTimes()
  const routeOf = oncePer(({ id, team }: CompiledRoute) => Object.freeze({ id, team }))
  const describeToken = describerOfTokens()
  const callerOf = oncePerToken((token) =>
    token.comesAgain ? Object.freeze(describeToken(token)) : describeToken(token),
  )
  const describeMint = describerOfMints()
  const mintedOf = oncePer((mint: Mint) => Object.freeze(describeMint(mint)))
  const upstreamOf = oncePer(upstreamsOf)

  return ({ facts, step, sent, durationMs }) => {
    const { problem } = sent
    const { route, caller, subject, inspection, decision, identity, endpoint } = facts
    const event: Writable<AuditEvent> = {
      version: auditEventVersion,
      kind: 'ingress',
      time: timeOf(facts.nowMs),
      decisionId: facts.decisionId,
      outcome: outcomeOf(step, problem),
      step,
      problem: problem?.tag ?? 'none',
      status: sent.status,
      durationMs: Math.round(durationMs * 1000) / 1000,
      bytesIn: sent.bytesIn ?? facts.body.bytesIn(),
      bytesOut: sent.bytesOut,
      door: facts.door,
      request: describeRequest(facts),
    }
    if (facts.trace) event.traceId = facts.trace.traceId(facts)
    if (sent.grpcStatus !== undefined) event.grpcStatus = sent.grpcStatus
    if (route) event.route = routeOf(route)
    if (caller?.kind === 'token') event.caller = callerOf(caller.token)
    if (caller?.kind === 'legacy') event.credential = caller.method
    if (subject) {
      event.spiffeId = subject.spiffeId
      event.mapping = subject.rule
    }
    const quota = facts.callerQuota ?? facts.routeQuota ?? facts.addressQuota
    if (quota) event.quota = describeQuota(quota)
    const found = inspection?.record()
    if (found && (found.rules.length > 0 || found.partly)) event.waf = found // only where a rule had something to say
    if (decision) event.policy = decision
    if (identity) event.minted = identity.fromCache ? mintedOf(identity) : describeMint(identity)
    if (route) event.upstream = upstreamOf(route)(endpoint?.endpoint ?? 'none')
    if (problem) addWhy(event, problem)
    return event
  }
}

/** The record of a connection that was ended for what its caller did on it; its requests have records of their own. */
export const abuseRecord = (
  { address, tlsVersion }: Pick<Peer, 'address' | 'tlsVersion'>,
  cause: string,
  nowMs: number,
  decisionId: string,
): AuditEvent => ({
  version: auditEventVersion,
  kind: 'ingress',
  time: isoTime(nowMs),
  decisionId,
  outcome: 'refused',
  step: 'connection',
  problem: 'connection-abused',
  cause,
  status: problems['connection-abused'].status,
  durationMs: 0,
  bytesIn: 0,
  bytesOut: 0,
  request: { method: '', host: '', path: '', protocol: 'HTTP/2', address, tls: tlsVersion },
})

const outcomeOf = (step: string, problem: Problem | undefined): AuditEvent['outcome'] => {
  if (!problem) return 'forwarded'
  // Cut in the middle of an answer it is refused, too: nothing has failed.
  if (problem.tag === 'quarantined') return 'refused'
  return step === forwardStep || problem.tag === 'internal' ? 'failed' : 'refused'
}

const describeRequest = ({ raw, head, origin, peer }: Ending<Received, Admitted>['facts']) => ({
  // Before the gate has read it there is only what was sent; the sink bounds and escapes it.
  method: head?.method ?? raw.method ?? '',
  host: head?.host ?? '',
  path: head?.path ?? pathSent(raw.url ?? ''),
  protocol: `HTTP/${raw.httpVersion}`,
  address: origin?.address ?? peer.address,
  tls: peer.tlsVersion,
})

/** Without the query, and nothing of a target that is no path: both may hold secrets. */
const pathSent = (url: string): string =>
  url.startsWith('/') ? (url.split('?', 1)[0]?.slice(0, 2048) ?? '') : ''

const describerOfTokens = () => {
  const timeOf = isoTimes()
  return (token: VerifiedToken): NonNullable<AuditEvent['caller']> => ({
    issuer: token.issuerName,
    subject: token.subject,
    tokenFingerprint: token.fingerprint.slice(0, fingerprintChars),
    kid: token.kid,
    ...(token.jti === undefined ? {} : { jti: token.jti }),
    expiresAt: timeOf(token.expiresAtMs),
  })
}

const describeQuota = ({ limit, remaining, reportOnly }: Quota): NonNullable<AuditEvent['quota']> =>
  reportOnly ? { limit, remaining, reportOnly } : { limit, remaining }

const describerOfMints = () => {
  const timeOf = isoTimes()
  return ({ minted, fromCache }: Mint): NonNullable<AuditEvent['minted']> => ({
    tokenType: minted.tokenType,
    subject: minted.subject,
    audience: minted.audience,
    jti: minted.jti,
    kid: minted.kid,
    expiresAt: timeOf(minted.expiresAtMs),
    fromCache,
  })
}

/** By endpoint: as many as the configuration names, and their addresses. */
const upstreamsOf = ({ upstream: { name, spiffeId } }: CompiledRoute) => {
  const known = new Map<string, NonNullable<AuditEvent['upstream']>>()
  return (endpoint: string) => {
    const before = known.get(endpoint)
    if (before !== undefined) return before
    if (known.size >= maxEndpoints) known.clear()
    const described = Object.freeze({ name, endpoint, spiffeId })
    known.set(endpoint, described)
    return described
  }
}

/** Addresses of names come and go. */
const maxEndpoints = 1000

/** What lay behind a problem. Findings of the firewall, entries of the quarantine and the policy's decision have fields of their own. */
const addWhy = (event: Writable<AuditEvent>, { tag, detail, cause }: Problem): void => {
  if (detail !== undefined) event.detail = detail
  if (cause === undefined) return
  switch (tag) {
    case 'attack-suspected':
      event.waf = cause as InspectionRecord
      break
    case 'quarantined':
      Object.assign(event, quarantineRecord(cause as QuarantineEntry))
      break
    case 'policy-denied':
      event.policy = cause as PolicyDecision
      break
    default:
      event.cause = causeText(cause)
  }
}
