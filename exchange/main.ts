import { pooledRandomBytes, systemClock, systemRandomBytes } from '#contract/clock'
import type { Log } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import { auditLog } from '#plugins/audit-log/sink'
import { prometheusSink } from '#plugins/prometheus/sink'
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
  try {
    const running = await runExchange(config, {
      ...shared,
      audit,
      metrics: scrape,
      uptimeMs: () => performance.now(),
      close: audit.close,
    })
    return { ...running, reopenRecords: audit.reopen }
  } catch (cause) {
    await audit.close()
    throw cause
  }
}
