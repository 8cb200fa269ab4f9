import type { Clock } from '#contract/clock'
import type { GatewayConfig } from '#config/schema'
import { expired } from './ingress/expired.ts'
import type { Received } from './ingress/received.ts'
import type { LiveTable } from './live.ts'

const expiryEveryMs = 1000

/**
 * Ends once a second what must not go on: its token has expired, and its route does not let it finish.
 *
 * @returns What ends that.
 */
export const endExpired = (
  live: LiveTable,
  clock: Clock,
  current: () => GatewayConfig,
): (() => void) => {
  const sweep = () => {
    const nowMs = clock()
    const { issuers } = current()
    live.sweep((facts) =>
      expired(facts as Received, nowMs, (name) => (issuers[name]?.skewSeconds ?? 0) * 1000),
    )
  }
  const timer = setInterval(sweep, expiryEveryMs).unref()
  return () => clearInterval(timer)
}
