import { auditEventVersion, type AuditEvent } from '#contract/audit-event'
import { causeText } from '#contract/cause'
import { isoTime } from '#contract/clock'
import type { Inspection, InspectionRecord } from '#contract/inspection'
import type { PolicyDecision } from '#contract/policy'
import type { Problem } from '#contract/problem'
import type { QuarantineEntry } from '#contract/quarantine'
import type { Quota } from '#contract/quota'
import { forwardStep, type Ending } from '../answer.ts'
import type { Mint } from '../mint-cache.ts'
import { quarantineRecord } from '../quarantine-record.ts'
import type { Picked } from '../upstream/upstream-group.ts'
import type { Caller } from './authenticate.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'

/** What is put into a record of a token's fingerprint: enough to find it again, not enough to be one. */
const fingerprintChars = 16

/** The one record of a request: every fact that was learned before it ended, and how it ended. */
export const auditRecord = ({
  facts,
  step,
  sent,
  durationMs,
}: Ending<Received, Admitted>): AuditEvent => {
  const { problem } = sent
  const { route, caller, subject, decision, identity, endpoint } = facts
  return {
    version: auditEventVersion,
    kind: 'ingress',
    time: isoTime(facts.nowMs),
    decisionId: facts.decisionId,
    outcome: outcomeOf(step, problem),
    step,
    problem: problem?.tag ?? 'none',
    ...(problem?.detail === undefined ? {} : { detail: problem.detail }),
    ...whyOf(problem),
    status: sent.status,
    durationMs,
    bytesIn: sent.bytesIn ?? facts.body.bytesIn(),
    bytesOut: sent.bytesOut,
    door: facts.door,
    request: describeRequest(facts),
    ...(route ? { route: { id: route.id, team: route.team } } : {}),
    ...(caller?.kind === 'token' ? { caller: describeCaller(caller) } : {}),
    ...(subject ? { spiffeId: subject.spiffeId, mapping: subject.rule } : {}),
    ...quotaOf(facts.callerQuota ?? facts.routeQuota ?? facts.addressQuota),
    ...inspectionOf(facts.inspection),
    ...(decision ? { policy: decision } : {}),
    ...(identity ? { minted: describeMint(identity) } : {}),
    ...(route ? { upstream: describeUpstream(route, endpoint) } : {}),
  }
}

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

const describeCaller = ({
  token,
}: Extract<Caller, { kind: 'token' }>): NonNullable<AuditEvent['caller']> => ({
  issuer: token.issuerName,
  subject: token.subject,
  tokenFingerprint: token.fingerprint.slice(0, fingerprintChars),
  kid: token.kid,
  ...(token.jti === undefined ? {} : { jti: token.jti }),
  expiresAt: isoTime(token.expiresAtMs),
})

const quotaOf = (quota: Quota | undefined): Pick<AuditEvent, 'quota'> =>
  quota
    ? {
        quota: {
          limit: quota.limit,
          remaining: quota.remaining,
          ...(quota.reportOnly ? { reportOnly: true } : {}),
        },
      }
    : {}

const describeMint = ({ minted, fromCache }: Mint): NonNullable<AuditEvent['minted']> => ({
  tokenType: minted.tokenType,
  subject: minted.subject,
  audience: minted.audience,
  jti: minted.jti,
  kid: minted.kid,
  expiresAt: isoTime(minted.expiresAtMs),
  fromCache,
})

const describeUpstream = (
  route: CompiledRoute,
  endpoint: Picked | undefined,
): NonNullable<AuditEvent['upstream']> => ({
  name: route.upstream.name,
  endpoint: endpoint?.endpoint ?? 'none',
  spiffeId: route.upstream.spiffeId,
})

/** What lay behind a problem. Findings of the firewall, entries of the quarantine and the policy's decision have fields of their own. */
const whyOf = (
  problem: Problem | undefined,
): Pick<AuditEvent, 'cause' | 'waf' | 'policy' | 'quarantine'> => {
  if (problem?.cause === undefined) return {}
  switch (problem.tag) {
    case 'attack-suspected':
      return { waf: problem.cause as InspectionRecord }
    case 'quarantined':
      return quarantineRecord(problem.cause as QuarantineEntry)
    case 'policy-denied':
      return { policy: problem.cause as PolicyDecision }
    default:
      return { cause: causeText(problem.cause) }
  }
}

/** Only where a rule had something to say. */
const inspectionOf = (inspection: Inspection | undefined): Pick<AuditEvent, 'waf'> => {
  const record = inspection?.record()
  return record && (record.rules.length > 0 || record.partly) ? { waf: record } : {}
}
