import type { Upstream } from '#config/schema'
import { ask } from '#http/ask'
import type { Target } from './target.ts'

export type HealthCheckOptions = NonNullable<Upstream['healthCheck']> & {
  /** Its Host; by default that of the endpoint. */
  readonly host: string | undefined
}

const maxAnswerBytes = 65_536

/** Told how each check went, and whether the target is healthy by it. */
type Told = (target: Target, isWell: boolean, hasChanged: boolean) => void

/**
 * Asks each target again and again whether it is well, over the same connections that requests take, so who answers has
 * proved to be the one expected.
 *
 * @param targets Those that there are now.
 * @param random So that not all gateways ask at once.
 * @returns How to end it.
 */
export const healthChecks = (
  { path, intervalSeconds, timeoutMs, unhealthyAfter, healthyAfter, host }: HealthCheckOptions,
  targets: () => readonly Target[],
  random: () => number,
  told: Told,
): (() => void) => {
  const inARow = new WeakMap<Target, number>() // answers that speak against what is believed
  const asking = new WeakSet<Target>()

  const isWell = async (target: Target): Promise<boolean> => {
    const answer = await ask(
      target.clients.requests,
      {
        method: 'GET',
        path,
        authority: host ?? new URL(target.place.endpoint).host,
        headers: ['user-agent', 'sallyport-health-check'],
        body: null,
      },
      { timeoutMs, maxBytes: maxAnswerBytes },
    )
    return 'status' in answer && answer.status >= 200 && answer.status < 300
  }
  const check = async (target: Target) => {
    if (asking.has(target)) return
    asking.add(target)
    const well = await isWell(target)
    asking.delete(target)
    if (well === target.isHealthy) {
      inARow.delete(target)
      return told(target, well, false)
    }
    const against = (inARow.get(target) ?? 0) + 1
    const hasChanged = against >= (well ? healthyAfter : unhealthyAfter)
    if (hasChanged) {
      target.isHealthy = well
      inARow.delete(target)
    } else inARow.set(target, against)
    told(target, well, hasChanged)
  }
  const checkAll = () => {
    for (const target of targets()) void check(target)
  }

  let timer = setTimeout(begin, random() * Math.min(1000, intervalSeconds * 1000)).unref()
  function begin() {
    checkAll()
    timer = setInterval(checkAll, intervalSeconds * 1000).unref()
  }
  return () => clearTimeout(timer)
}
