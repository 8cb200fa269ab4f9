import type { AuditSink } from '#contract/audit-event'
import type { PolicyEngine } from '#contract/policy'
import type { Result } from '#contract/problem'
import type { QuarantineJudge } from '#contract/quarantine'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import type { OriginOptions } from '#http/forwarded'
import type { RawHead } from '#http/raw-gate'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import type { LegacyIdentities } from '../legacy-identities.ts'
import type { MintCache } from '../mint-cache.ts'
import type { IssuerForPolicy } from './authorise.ts'
import type { CertifiedStrangers } from './client-certificate.ts'
import type { CompiledRoute, LimitKey } from './compiled-route.ts'
import type { RouteTable } from './find-route.ts'
import type { HolderParts } from './token-holder.ts'
import type { Subject } from './identify.ts'
import type { Quota, QuotaHeaders } from '#contract/quota'

/** All that the way in is made of. */
export type IngressParts = {
  readonly audit: AuditSink
  /** Refuses while this process is too busy. */
  readonly load: () => Result<void>
  readonly gate: (raw: RawHead, early?: Buffer) => Result<RequestHead>
  readonly origin: OriginOptions
  readonly addressLimit: Step<LimitKey, Quota> | undefined
  readonly routes: readonly CompiledRoute[]
  readonly findRoute: RouteTable['find']
  readonly quarantine: QuarantineJudge
  readonly certifiedStrangers: CertifiedStrangers
  readonly verify: VerifyToken
  readonly holder: HolderParts
  readonly mapping: (token: VerifiedToken) => Result<Subject>
  readonly policy: PolicyEngine
  readonly trustDomain: string
  readonly issuers: ReadonlyMap<string, IssuerForPolicy>
  readonly mints: MintCache
  readonly legacy: LegacyIdentities
  readonly quotaHeaders: QuotaHeaders
}
