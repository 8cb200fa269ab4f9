import { isoTime } from '#contract/clock'
import type { Quarantine } from '#contract/quarantine'
import type { GatewayConfig } from '#config/schema'
import type { FederationStatus } from '#identity/federation/federated-bundles'
import type { Svid } from '#identity/svid/svid'
import type { BuiltIngress } from '../ingress/build.ts'
import type { LiveTable } from '../live.ts'
import type { MintCache } from '../mint-cache.ts'
import type { ReloadStatus } from '../reload-status.ts'
import type { Runtime } from '../runtime.ts'

export type StatusOf = {
  readonly runtime: Runtime<
    GatewayConfig,
    BuiltIngress & { readonly way: { readonly names: readonly string[] } }
  >
  readonly reloads: ReloadStatus
  readonly live: LiveTable
  readonly mints: MintCache
  readonly quarantine: Pick<Quarantine, 'status'>
  readonly svid: Svid
  readonly federation: Readonly<Record<string, FederationStatus>>
  /** See `ClockAhead`. */
  readonly clockOfExchangeAheadSeconds: number | undefined
}

/**
 * Why this gateway should get no traffic now. An issuer that is away is no reason: it would take the callers of all the
 * others along; its own get 503.
 */
export const unready = (
  { parts }: BuiltIngress,
  svid: Svid,
  isDraining: boolean,
  quarantine: Pick<Quarantine, 'isKnown'>,
  nowMs: number,
): readonly string[] => {
  const reasons: string[] = []
  if (isDraining) reasons.push('shutting down')
  if (svid.notAfterMs <= nowMs) reasons.push('the own SVID has expired')
  if (!quarantine.isKnown()) reasons.push('it is not known yet who is cut off')
  if (!parts.audit.ready().ok) reasons.push('audit records cannot be written')
  return reasons
}

/** What runs here, for `GET /status`. No secrets, no callers. */
export const gatewayStatus = ({
  runtime,
  reloads,
  live,
  mints,
  quarantine,
  svid,
  federation,
  clockOfExchangeAheadSeconds,
}: StatusOf): object => {
  const { parts: built, revision } = runtime
  return {
    config: { ...reloads, loads: revision },
    steps: built.way.names,
    policy: { revision: built.parts.policy.revision },
    svid: { spiffeId: svid.spiffeId, notAfter: isoTime(svid.notAfterMs) },
    federation,
    open: live.size(),
    mintedTokens: mints.size(),
    quarantine: quarantine.status(),
    exchange: { clockAheadSeconds: clockOfExchangeAheadSeconds },
    issuers: Object.fromEntries(built.issuers.status()),
    upstreams: Object.fromEntries(
      [...built.upstreams].map(([name, group]) => [
        name,
        {
          spiffeId: group.spiffeId,
          inFlight: group.inFlight(),
          queued: group.queued(),
          endpoints: group.stats(),
        },
      ]),
    ),
    routes: built.parts.routes.map(({ id, team, config }) => ({
      id,
      team,
      match: config.match,
      upstream: config.upstream,
    })),
  }
}
