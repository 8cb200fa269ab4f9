import type { Clock, RandomBytes } from '#contract/clock'
import type { Log } from '#contract/telemetry'
import { firstConnection, redisClient, type RedisClientOptions } from '#plugins/redis-client'
import { storeHealth } from '#plugins/store-health'
import type { Seen, Sighting } from './seen.ts'

export type RedisSeenOptions = RedisClientOptions & {
  /** Asked while it is away; without one nobody can tell. */
  readonly meanwhile: Seen | undefined
}

export type RedisSeenParts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
}

const prefix = 'sallyport:seen:'
const messages = {
  away: 'what was used once cannot be remembered for all replicas: Redis is away',
  back: 'Redis remembers again what was used once',
}

/**
 * Remembers in a Redis that all replicas share (one server, a master found by sentinels, or a cluster), by `SET NX PX`: of two replicas that see one id, one is the first.
 * While it is away nothing is queued for it; after a failure it is asked once a second.
 *
 * @throws TypeError for URLs and settings that do not fit together; it does not repeat a URL, which holds a password.
 */
export const redisSeen = async (
  { meanwhile, ...server }: RedisSeenOptions,
  { clock, randomBytes, log }: RedisSeenParts,
): Promise<Seen> => {
  const client = redisClient(server, {
    connectionName: 'sallyport-seen',
    setting: 'replay.redis',
    randomBytes,
  })
  const health = storeHealth(messages, log)
  client.on('error', health.failed)
  await firstConnection(client)

  const withoutIt = (id: string, expiresAtMs: number): Sighting | Promise<Sighting> =>
    meanwhile ? meanwhile.see(id, expiresAtMs) : 'unknown'

  return {
    see: async (id, expiresAtMs) => {
      if (!health.mayAsk()) return withoutIt(id, expiresAtMs)
      try {
        const leftMs = Math.max(1, Math.ceil(expiresAtMs - clock()))
        const answer = await client.set(prefix + id, '1', 'PX', leftMs, 'NX')
        health.answered()
        return answer === 'OK' ? 'first' : 'again'
      } catch (cause) {
        health.failed(cause)
        return withoutIt(id, expiresAtMs)
      }
    },
    close: async () => {
      client.disconnect()
      await meanwhile?.close()
    },
  }
}
