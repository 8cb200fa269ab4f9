import {
  auditEventVersion,
  type AuditEvent,
  type EgressRecord,
  type ServerNameVerdict,
  type TunnelEnd,
} from '#contract/audit-event'
import { causeText } from '#contract/cause'
import { isoTime } from '#contract/clock'
import type { EgressReason } from '#contract/egress'
import type { Inspection, InspectionRecord } from '#contract/inspection'
import type { PolicyDecision } from '#contract/policy'
import type { Problem, ProblemTag } from '#contract/problem'
import type { QuarantineEntry } from '#contract/quarantine'
import type { Ending } from '../answer.ts'
import { quarantineRecord } from '../quarantine-record.ts'
import type { ClosedAddresses } from './find-addresses.ts'
import type { Admitted } from './pipeline.ts'
import type { EgressReceived } from './received.ts'

type Facts = EgressReceived & Partial<Admitted> & { readonly inspection?: Inspection | undefined }

/** What is known of a tunnel besides the facts of its request. */
export type TunnelNotes = {
  /** Which it came through. */
  tunnel?: string
  serverName?: ServerNameVerdict
  closedBy?: TunnelEnd
  isFirst?: true
  bytesOut?: number
}

/** What comes after the answer to a CONNECT is no step of the way, and can still end it. */
const stepsBehind: Partial<Record<ProblemTag, string>> = {
  'server-name-refused': 'client hello',
  'inspection-failed': 'handshake',
}

/** The record of how it ended, with every fact that was learned before. */
export const closedRecord = (
  { facts, step, sent, durationMs }: Ending<EgressReceived, Admitted>,
  notes: TunnelNotes,
): AuditEvent => {
  const { problem } = sent
  // A WebSocket that was refused by its destination has had no other record.
  const isTunnel =
    facts.connection !== undefined &&
    (facts.door === 'connect' || (facts.door === 'upgrade' && notes.closedBy !== undefined))
  const at = (problem && stepsBehind[problem.tag]) ?? step
  return {
    ...recordOf(facts, notes, isTunnel ? 'closed' : 'whole', problem),
    outcome: outcomeOf(at, problem),
    step: at,
    problem: problem?.tag ?? 'none',
    ...(problem?.detail === undefined ? {} : { detail: problem.detail }),
    ...causeOf(problem),
    status: sent.status,
    durationMs,
    bytesIn: notes.bytesOut ?? sent.bytesIn ?? facts.body.bytesIn(),
    bytesOut: sent.bytesOut,
    ...(sent.grpcStatus === undefined ? {} : { grpcStatus: sent.grpcStatus }),
  }
}

/** The record of a tunnel when it opens: the decision, which the other one's reader need not wait for. */
export const openedRecord = (facts: Facts, notes: TunnelNotes, durationMs: number): AuditEvent => ({
  ...recordOf(facts, notes, 'opened', undefined),
  outcome: 'forwarded',
  step: 'none',
  problem: 'none',
  status: 200,
  durationMs,
  bytesIn: 0,
  bytesOut: 0,
})

type Common = Omit<
  AuditEvent,
  'outcome' | 'step' | 'problem' | 'status' | 'durationMs' | 'bytesIn' | 'bytesOut'
>

const recordOf = (
  facts: Facts,
  notes: TunnelNotes,
  phase: EgressRecord['phase'],
  problem: Problem | undefined,
): Common => {
  const { workload, decision, quota } = facts
  const waf = facts.inspection?.record() ?? wafIn(problem)
  const policy = facts.policy ?? policyIn(problem)
  return {
    version: auditEventVersion,
    kind: 'egress',
    time: isoTime(facts.nowMs),
    decisionId: facts.decisionId,
    door: facts.door,
    request: describeRequest(facts),
    ...(decision ? { route: { id: decision.rule, team: decision.team } } : {}),
    ...(workload ? { spiffeId: workload.spiffeId } : {}),
    ...(quota
      ? {
          quota: {
            limit: quota.limit,
            remaining: quota.remaining,
            ...(quota.reportOnly ? { reportOnly: true } : {}),
          },
        }
      : {}),
    ...(policy ? { policy } : {}),
    ...(waf ? { waf } : {}),
    ...egressOf(facts, notes, phase, problem),
  }
}

/** So has a policy's. */
const policyIn = (problem: Problem | undefined): PolicyDecision | undefined =>
  problem?.tag === 'policy-denied' ? (problem.cause as PolicyDecision) : undefined

/** A firewall's refusal has its record in its cause. */
const wafIn = (problem: Problem | undefined): InspectionRecord | undefined =>
  problem?.tag === 'attack-suspected' ? (problem.cause as InspectionRecord) : undefined

const describeRequest = ({ raw, ask, peer, certificate }: Facts) => ({
  method: raw.method ?? '',
  host: ask?.authority.host ?? '',
  // Of a tunnel nobody sees one. A target that could not be read is not repeated: it may hold a secret.
  path: ask?.kind === 'request' ? ask.head.path : '',
  protocol: `HTTP/${raw.httpVersion}`,
  address: peer.address,
  tls: peer.tlsVersion,
  ...(certificate.kind === 'svid' ? { clientSpiffeId: certificate.spiffeId } : {}),
})

const egressOf = (
  { ask, workload, decision, addresses, credential, connection }: Facts,
  { serverName, closedBy, isFirst, tunnel }: TunnelNotes,
  phase: EgressRecord['phase'],
  problem: Problem | undefined,
): Pick<AuditEvent, 'egress'> => {
  if (!ask) return {}
  const { judged, aliases = [] } = addresses ?? closedIn(problem)
  return {
    egress: {
      phase,
      host: ask.authority.host,
      port: decision?.port ?? ask.authority.port,
      ...(workload ? { proof: workload.proof } : {}),
      ...(decision
        ? {
            protocol: decision.protocol,
            rule: decision.rule,
            mode: decision.mode,
            reason: decision.reason,
            ...(decision.wouldRefuse ? { wouldRefuse: decision.wouldRefuse } : {}),
          }
        : refusedBy(problem)),
      ...(aliases.length > 0 ? { aliases } : {}),
      ...(judged ? { addresses: judged } : {}),
      ...(addresses ? { lookupMs: rounded(addresses.lookupMs) } : {}),
      ...(credential
        ? {
            credential: {
              id: credential.id,
              kind: credential.kind,
              ...(credential.fromCache === undefined ? {} : { fromCache: credential.fromCache }),
              tookMs: rounded(credential.tookMs),
            },
          }
        : {}),
      ...(connection
        ? {
            dialled: connection.address,
            ...(connection.tlsVersion === undefined ? {} : { tls: connection.tlsVersion }),
            connectMs: rounded(connection.connectMs),
          }
        : {}),
      ...(tunnel ? { tunnel } : {}),
      ...(serverName ? { serverName } : {}),
      ...(closedBy ? { closedBy } : {}),
      ...(isFirst ? { isFirst } : {}),
    },
  }
}

/** The guard's refusal says by what and why in its cause. */
const refusedBy = (problem: Problem | undefined): Partial<EgressRecord> => {
  if (problem?.tag !== 'destination-denied') return {}
  return problem.cause as { readonly rule: string; readonly reason: EgressReason }
}

const closedIn = (problem: Problem | undefined): Partial<ClosedAddresses> =>
  problem?.tag === 'address-denied' ? (problem.cause as ClosedAddresses) : {}

const hasOwnFields: ReadonlySet<string> = new Set([
  'destination-denied',
  'address-denied',
  'attack-suspected',
])

const causeOf = (problem: Problem | undefined): Pick<AuditEvent, 'cause' | 'quarantine'> => {
  if (problem?.cause === undefined || hasOwnFields.has(problem.tag)) return {}
  return problem.tag === 'quarantined'
    ? quarantineRecord(problem.cause as QuarantineEntry)
    : { cause: causeText(problem.cause) }
}

const outcomeOf = (step: string, problem: Problem | undefined): AuditEvent['outcome'] => {
  if (!problem) return 'forwarded'
  if (problem.tag === 'quarantined') return 'refused' // cut in the middle of a request, too
  const isFailure =
    step === 'forward' || step === 'connection' || problem.tag === 'internal' || isUpstream(problem)
  return isFailure ? 'failed' : 'refused'
}

const isUpstream = ({ tag }: Problem): boolean =>
  tag === 'destination-unresolved' ||
  tag === 'destination-timeout' ||
  tag === 'inspection-failed' ||
  tag === 'inspection-unavailable' ||
  tag === 'credential-unavailable'

const rounded = (ms: number): number => Math.round(ms * 100) / 100
