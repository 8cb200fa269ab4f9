import type { ProblemTag, Result } from './problem.ts'
import type {
  EgressCredentialKind,
  EgressMode,
  EgressProtocol,
  EgressReason,
  JudgedAddress,
} from './egress.ts'
import type { LegacyMethod } from './legacy.ts'
import type { InspectionRecord } from './inspection.ts'
import type { PolicyReason } from './policy.ts'
import type { QuarantineKind } from './quarantine.ts'

/** Raised when a field changes its meaning or goes; new fields do not raise it. */
export const auditEventVersion = 1

/**
 * The one record of an exchange with a caller. Every fact that was learned is in it, refused or not; a token or a
 * secret never is. Described by `docs/reference/audit-event.schema.json`.
 */
export type AuditEvent = {
  readonly version: typeof auditEventVersion
  readonly kind: 'ingress' | 'egress' | 'exchange' | 'admin'
  /** ISO 8601, when it began. */
  readonly time: string
  /** The trace that the request belongs to, where traces are taken; of an exchange, of the request that caused it. */
  readonly traceId?: string
  /** Also in the answer's `x-sallyport-decision-id` and handed on to the exchange. */
  readonly decisionId: string
  readonly outcome: 'forwarded' | 'refused' | 'failed' | 'answered'
  /** The step that stopped it, 'none' when nothing did. */
  readonly step: string
  readonly problem: ProblemTag | 'none'
  readonly detail?: string
  /** For operators: what lay behind the problem. */
  readonly cause?: string
  readonly status: number
  /**
   * Of a call of gRPC: what its trailers said, or the refusal. `status` then is 200, or what the refusal would be over plain
   * HTTP.
   */
  readonly grpcStatus?: number
  readonly durationMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  readonly door?: 'request' | 'upgrade' | 'connect'
  readonly request?: {
    readonly method: string
    readonly host: string
    readonly path: string
    readonly protocol: string
    readonly address: string
    readonly tls?: string
    readonly clientSpiffeId?: string
  }
  readonly route?: { readonly id: string; readonly team: string }
  readonly caller?: {
    readonly issuer: string
    readonly subject: string
    /** SHA-256 of the token's signing input, base64url, cut to 16 characters. */
    readonly tokenFingerprint: string
    readonly kid: string
    readonly jti?: string
    readonly expiresAt: string
  }
  /** How a caller without a token proved who it is. */
  readonly credential?: LegacyMethod
  readonly spiffeId?: string
  /** Name of the identity mapping that gave `spiffeId`. */
  readonly mapping?: string
  /** Of all such mappings, as the configuration had them: 12 hex digits. */
  readonly mappingRevision?: string
  readonly quota?: {
    readonly limit: number
    readonly remaining: number
    readonly reportOnly?: true
  }
  /** What the firewall's rules found. */
  readonly waf?: InspectionRecord
  readonly policy?: {
    readonly allow: boolean
    readonly reasons: readonly PolicyReason[]
    readonly revision: string
  }
  readonly minted?: {
    readonly tokenType: string
    readonly subject: string
    readonly audience: string
    /** Scopes, if it has any. */
    readonly scope?: string
    /** Of a Txn-Token: the transaction. */
    readonly txn?: string
    readonly jti: string
    readonly kid: string
    readonly expiresAt: string
    readonly fromCache: boolean
  }
  readonly upstream?: {
    readonly name: string
    readonly endpoint: string
    readonly spiffeId: string
  }
  /** Of the way out. */
  readonly egress?: EgressRecord
  /** Of the exchange: SHA-256 of the subject token's signing input. */
  readonly parent?: string
  readonly client?: string
  /** Of an exchange: what was asked for, whatever came of it. */
  readonly asked?: {
    readonly tokenType: string
    readonly audience: string
    /** Scopes, if some were asked for. */
    readonly scope?: string
  }
  /** Of an exchange: SPIFFE ID of who acts for the subject, and the grant that allowed it. */
  readonly actor?: string
  readonly grant?: string
  /** The entry of the quarantine that cut it off, or that an order was about. */
  readonly quarantine?: QuarantineRecord
  /** Of an order: who gave it, as they said. */
  readonly orderedBy?: string
}

export type QuarantineRecord = {
  readonly id: string
  readonly kind: QuarantineKind
  /** Whom or what it cuts off: a network, a route, a subject … */
  readonly value: string
  readonly issuer?: string
  readonly reason: string
  /** Who made the entry. */
  readonly actor: string
  readonly expiresAt?: string
  /** It is only about tokens issued before this. */
  readonly notBefore?: string
}

/** Where a workload wanted to go, and what became of it. A tunnel has two records: when it opened and when it closed. */
export type EgressRecord = {
  readonly phase: 'opened' | 'closed' | 'whole'
  readonly host: string
  readonly port: number
  readonly protocol?: EgressProtocol
  /** How the workload proved who it is. */
  readonly proof?: 'x509-svid' | 'jwt-svid'
  readonly rule?: string
  readonly mode?: EgressMode
  readonly reason?: EgressReason
  /** What it would have been refused for, were the rule enforced. */
  readonly wouldRefuse?: EgressReason
  /** Names that the name stood for, from one to the next (CNAME): eight at most, and only those that were told in time. */
  readonly aliases?: readonly string[]
  /** All that the name led to, and what each is. */
  readonly addresses?: readonly JudgedAddress[]
  /** The one that was dialled. */
  readonly dialled?: string
  /** Version of TLS, where the gateway itself made it. */
  readonly tls?: string
  /** What went along with the request, by name; never what it is. */
  readonly credential?: {
    readonly id: string
    readonly kind: EgressCredentialKind
    /** Of what is fetched: whether it was there already. */
    readonly fromCache?: boolean
    readonly tookMs: number
  }
  /** What the ClientHello named; `not-inspected` where nobody looked. */
  readonly serverName?: ServerNameVerdict
  /** The first time since the start that this workload went there. */
  readonly isFirst?: true
  readonly lookupMs?: number
  readonly connectMs?: number
  /** Of an inspected request: the `decisionId` of its tunnel. */
  readonly tunnel?: string
  /** Why a tunnel ended. */
  readonly closedBy?: TunnelEnd
}

export const serverNameVerdicts = [
  'match',
  'absent',
  'mismatch',
  'encrypted',
  'not-tls',
  'malformed',
  'timeout',
  'too-long',
  'gone',
  'not-inspected',
] as const
export type ServerNameVerdict = (typeof serverNameVerdicts)[number]

export const tunnelEnds = [
  'workload',
  'destination',
  'idle',
  'life-over',
  'bytes-exceeded',
  'cut',
  /** What came through it was not let on; the problem says why. */
  'refused',
  'error',
] as const
export type TunnelEnd = (typeof tunnelEnds)[number]

/** Takes the records. A sink never throws and never blocks a request. */
export type AuditSink = {
  readonly write: (event: AuditEvent) => void
  /** Refuses with `audit-unavailable` while a record could not be taken. */
  readonly ready: () => Result<void>
  /** Flushes what is buffered. */
  readonly close: () => Promise<void>
}
