import {
  pooledRandomBytes,
  systemClock,
  systemRandomBytes,
  systemSleep,
  type Clock,
  type RandomBytes,
  type Sleep,
} from '#contract/clock'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import type { Log, Meter } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import type { AgentBundle } from '#identity/federation/agent-bundle'
import { ownSvidFromFiles } from '#identity/svid/own-svid-from-files'
import type { OwnSvid } from '#identity/svid/svid'
import { auditLog } from '#plugins/audit-log/sink'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { prometheusSink } from '#plugins/prometheus/sink'
import { rateLimit } from '#plugins/rate-limit/guard'
import { limitStores } from '#plugins/rate-limit/stores'
import { openSeen, replayGuard } from '#plugins/replay/guard'
import { runExchange, type RunningExchange } from './run.ts'

/**
 * Starts an exchange: everything that it is made of is chosen here and nowhere else.
 *
 * @param signal Ends the waiting for an SVID from elsewhere.
 * @throws Error that says what the operator has to mend.
 */
export const startExchange = async (
  config: ExchangeConfig,
  { log, signal }: { readonly log: Log; readonly signal?: AbortSignal },
): Promise<RunningExchange & { readonly reopenRecords: () => void }> => {
  const { meter, scrape } = prometheusSink()
  const randomBytes = pooledRandomBytes(systemRandomBytes)
  const shared = { clock: systemClock, sleep: systemSleep, randomBytes, meter, log }
  const audit = auditLog(config.audit, shared)
  const closing: (() => Promise<unknown>)[] = [audit.close]
  const close = async () => {
    await Promise.all(closing.map((end) => end()))
  }
  try {
    const deciding = await decidingPorts(config, shared)
    closing.push(deciding.close)
    const ownSvid = await openOwnSvid(config, shared, signal)
    if (ownSvid) closing.push(async () => ownSvid.close())
    const ownBundle = await openOwnBundle(config, shared)
    if (ownBundle) closing.push(async () => ownBundle.close())
    const running = await runExchange(config, {
      ...shared,
      ...deciding,
      audit,
      ownSvid,
      ownBundle,
      metrics: scrape,
      uptimeMs: () => performance.now(),
      close,
    })
    return { ...running, reopenRecords: audit.reopen }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** Undefined where its own CA issues its certificate. */
const openOwnSvid = async (
  { identity, ...config }: ExchangeConfig,
  shared: {
    readonly clock: Clock
    readonly sleep: Sleep
    readonly randomBytes: RandomBytes
    readonly meter: Meter
    readonly log: Log
  },
  signal: AbortSignal | undefined,
): Promise<OwnSvid | undefined> => {
  const spiffeId = config.spiffeId as SpiffeId
  switch (identity?.source) {
    case undefined:
      return undefined
    case 'files':
      return ownSvidFromFiles({ ...identity, spiffeId, ...shared })
    case 'workload-api': {
      // Its packages are read only where it is configured.
      const { ownSvidFromAgent } = await import('#identity/svid/own-svid-from-agent')
      return ownSvidFromAgent({ socket: identity.socket, spiffeId, ...shared }, signal)
    }
    default:
      return identity satisfies never
  }
}

const longestWaitForKeysMs = 3000

/** Keys for JWT-SVIDs of our trust domain that are not ours: those of SPIRE, where it gives us our identity. */
const openOwnBundle = async (
  { identity, trustDomain }: ExchangeConfig,
  shared: { readonly sleep: Sleep; readonly randomBytes: RandomBytes; readonly log: Log },
): Promise<AgentBundle | undefined> => {
  if (identity?.source !== 'workload-api') return undefined
  const { agentBundle } = await import('#identity/federation/agent-bundle')
  const { socket } = identity
  const name = trustDomain as TrustDomain // the schema has checked its grammar
  const bundle = agentBundle({ ...shared, socket, trustDomain: name, fetched: () => {} })
  // Without its keys our bundle would lose them for a moment at each start.
  const enough = new AbortController()
  const stop = bundle.onChange(({ jwtKeys }) => jwtKeys.size > 0 && enough.abort())
  if (!bundle.current()?.jwtKeys.size) await shared.sleep(longestWaitForKeysMs, enough.signal)
  stop()
  return bundle
}

/**
 * Opens what decides and remembers: policy, limits, and what was used once.
 *
 * @throws Error that names the file and what is wrong with it.
 */
export const decidingPorts = async (
  { policy, limits, replay }: ExchangeConfig,
  shared: {
    readonly clock: Clock
    readonly randomBytes: RandomBytes
    readonly meter: Meter
    readonly log: Log
  },
) => {
  const engine = policy && policyEngine(loadPolicyBundle(policy), policy, shared)
  const stores = await limitStores(limits.store, shared)
  const seen = await openSeen(replay, shared)
  const limitBy = (limit: 'client' | 'subject') => {
    const options = limits[limit]
    return (
      options &&
      rateLimit<string>({
        bucket: stores.callers.bucket({ ...options, name: `exchange ${limit}` }),
        limit,
        mode: options.mode,
        key: (key) => key,
        meter: shared.meter,
      })
    )
  }
  return {
    policy: engine,
    limits: { client: limitBy('client'), subject: limitBy('subject') },
    spendOnce: replayGuard(seen, shared.meter),
    close: () => Promise.all([stores.close(), seen.close()]),
  }
}
