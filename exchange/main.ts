import {
  pooledRandomBytes,
  systemClock,
  systemRandomBytes,
  type Clock,
  type RandomBytes,
} from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
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
 * @throws Error that says what the operator has to mend.
 */
export const startExchange = async (
  config: ExchangeConfig,
  { log }: { readonly log: Log },
): Promise<RunningExchange & { readonly reopenRecords: () => void }> => {
  const { meter, scrape } = prometheusSink()
  const randomBytes = pooledRandomBytes(systemRandomBytes)
  const shared = { clock: systemClock, randomBytes, meter, log }
  const audit = auditLog(config.audit, shared)
  const closing: (() => Promise<unknown>)[] = [audit.close]
  const close = async () => {
    await Promise.all(closing.map((end) => end()))
  }
  try {
    const deciding = await decidingPorts(config, shared)
    closing.push(deciding.close)
    const running = await runExchange(config, {
      ...shared,
      ...deciding,
      audit,
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
