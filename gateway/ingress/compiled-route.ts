import type { LegacyMethod } from '#contract/legacy'
import type { Step } from '#contract/step'
import type { Route } from '#config/schema'
import type { Cors } from './cors.ts'
import type { UpstreamGroup } from '../upstream/upstream-group.ts'
import type { Inspect } from '#contract/inspection'
import type { Quota } from '#contract/quota'

/** A route with all that its configuration became. */
export type CompiledRoute = {
  readonly id: string
  readonly team: string
  readonly config: Route
  /** Names of the issuers whose callers are let in; undefined for `authenticate: none`. */
  readonly issuers: ReadonlySet<string> | undefined
  /** By what a caller may prove who it is without a token; undefined for nothing. */
  readonly legacy: ReadonlySet<LegacyMethod> | undefined
  /** Only a token that is bound to a key or a certificate will do. */
  readonly mustBeBound: boolean
  readonly upstream: UpstreamGroup
  /** Audience of the token that its upstream gets. */
  readonly audience: string
  /** What it tells browsers about pages of other origins; undefined where they may not read it. */
  readonly cors: Cors | undefined
  /** What its firewall asks; undefined when it is off here. */
  readonly inspect: Inspect | undefined
  /** Keyed by who calls. */
  readonly callerLimit: Step<LimitKey, Quota> | undefined
  /** One key for all callers. */
  readonly routeLimit: Step<LimitKey, Quota> | undefined
}

/** What a limit counts by. */
export type LimitKey = { readonly key: string }
