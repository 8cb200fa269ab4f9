import { readFile } from 'node:fs/promises'
import type { Clock, RandomBytes } from '#contract/clock'
import { admitted, refuse, type Result } from '#contract/problem'
import type { GoodOnce, SpendOnce } from '#contract/replay'
import type { Log, Meter } from '#contract/telemetry'
import { memorySeen } from './memory.ts'
import type { ReplayOptions } from './options.ts'
import type { Seen, Sighting } from './seen.ts'

export type ReplayGuardParts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly meter: Meter
  readonly log: Log
}

/** What is good once is taken once. */
export const replayGuard = (seen: Seen, meter: Meter): SpendOnce => {
  const judge = (what: GoodOnce, sighting: Sighting): Result<void> => {
    const count = (result: 'first' | 'replayed' | 'unavailable') =>
      meter.counter('sallyport_replay_checks_total', { what, result })()
    switch (sighting) {
      case 'first':
        count('first')
        return admitted
      case 'again':
        count('replayed')
        return refuse('token-replayed', { cause: `${what} was used before` })
      case 'unknown':
        count('unavailable')
        return refuse('replay-unavailable', {
          cause: `nobody can tell whether this ${what} was used before`,
          headers: { 'retry-after': '5' },
        })
      default:
        return sighting satisfies never
    }
  }
  return (what, id, expiresAtMs) => {
    const soon = seen.see(`${what}:${id}`, expiresAtMs)
    return soon instanceof Promise
      ? soon.then((sighting) => judge(what, sighting))
      : judge(what, soon)
  }
}

/**
 * Opens where it is remembered: memory, or one Redis server for all replicas.
 *
 * @throws TypeError for a URL that is not one of Redis.
 */
export const openSeen = async (
  { maxEntries, redis }: ReplayOptions,
  parts: ReplayGuardParts,
): Promise<Seen> => {
  const memory = memorySeen(maxEntries, parts.clock)
  if (redis === undefined) return memory
  const { caFile, whenAway, ...options } = redis
  const ca = caFile === undefined ? {} : { ca: await readFile(caFile, 'utf8') }
  const meanwhile = whenAway === 'memory' ? memory : undefined
  const { redisSeen } = await import('./redis.ts') // where there is none, its client is not loaded
  return redisSeen({ ...options, meanwhile, ...ca }, parts)
}
