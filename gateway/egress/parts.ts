import type { AuditSink } from '#contract/audit-event'
import type { EgressAllowlist } from '#contract/egress'
import type { QuarantineJudge } from '#contract/quarantine'
import type { Inspect } from '#contract/inspection'
import type { Quota } from '#contract/quota'
import type { Step } from '#contract/step'
import type { Egress } from '#config/schema'
import type { LimitKey } from '../ingress/compiled-route.ts'
import type { Accounts } from './accounts.ts'
import type { EgressPolicy } from './authorise.ts'
import type { ConnectOptions } from './connect.ts'
import type { Credential } from './credentials/credential.ts'
import type { LeafCache } from './inspection/leaf-cache.ts'
import type { ReadRequestOptions } from './inspection/read-request.ts'
import type { IdentifyOptions } from './identify.ts'
import type { RuleLimits } from './limit.ts'
import type { AskOptions } from './read-ask.ts'
import type { NameResolver } from './resolver.ts'

/** All that the way out is made of. */
export type EgressParts = AskOptions &
  ReadRequestOptions &
  ConnectOptions &
  IdentifyOptions & {
    readonly audit: AuditSink
    readonly quarantine: QuarantineJudge
    readonly allowlist: EgressAllowlist
    /** Absent where the rules alone decide. */
    readonly policy: EgressPolicy | undefined
    readonly requestLimits: ReadonlyMap<string, Step<LimitKey, Quota>>
    /** By rule. */
    readonly limits: ReadonlyMap<string, RuleLimits>
    readonly accounts: Accounts
    readonly resolver: NameResolver
    readonly credentials: ReadonlyMap<string, Credential>
    readonly answers: Egress['dns']['answers']
    /** Certificates for hosts that are looked into. */
    readonly leaves: LeafCache
    /** Of requests within inspected TLS, by rule. */
    readonly firewalls: ReadonlyMap<string, Inspect>
    readonly clientHelloTimeoutMs: number
    readonly headersTimeoutMs: number
    readonly maxBodyBytes: number
  }
