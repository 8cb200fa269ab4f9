import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Log } from '#contract/telemetry'
import type { BucketStore, Spent } from './bucket.ts'
import { memoryStore } from './memory.ts'
import { firstConnection, redisClient, type RedisClientOptions } from '#plugins/redis-client'
import { storeHealth } from '#plugins/store-health'

export type RedisStoreOptions = RedisClientOptions & {
  /** Of the local limiter. */
  readonly memorySlots: number
}

export type StoreParts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
}

const messages = {
  away: 'the shared store of the limits is away: each gateway counts for itself',
  back: 'the shared store of the limits answers again',
}

/**
 * Counts in a Redis that all gateways share: one server, a master found by sentinels, or a cluster. While it is away,
 * slow or answers with an error a bounded local limiter decides, and its decisions say so; that and the way back are logged once each. Nothing is queued for a server
 * that is away.
 *
 * Waits up to a second for the first connection, and goes on without it.
 *
 * @throws TypeError for URLs and settings that do not fit together; it does not repeat a URL, which holds a password.
 */
export const redisStore = async (
  options: RedisStoreOptions,
  parts: StoreParts,
): Promise<BucketStore> => {
  const local = memoryStore({ slots: options.memorySlots, store: 'fallback' }, parts)
  const client = redisClient(options, {
    connectionName: 'sallyport-limits',
    setting: 'limits.store.redis',
    randomBytes: parts.randomBytes,
  })
  const health = storeHealth(messages, parts.log)
  client.on('error', health.failed)
  // One limiter for all limits: the window goes with each call and we compare the count ourselves, so it never rejects.
  const limiter = new RateLimiterRedis({
    storeClient: client,
    points: Number.MAX_SAFE_INTEGER,
    duration: 1,
    keyPrefix: 'sallyport:limit',
    rejectIfRedisNotReady: true,
  })
  await firstConnection(client)

  return {
    bucket: (limit) => {
      const { name, points, windowSeconds } = limit
      const localBucket = local.bucket(limit)
      return {
        limit,
        take: async (key): Promise<Spent> => {
          if (!health.mayAsk()) return localBucket.take(key)
          try {
            const { consumedPoints, msBeforeNext } = await inTime(
              limiter.consume(`${name}:${key}`, 1, { customDuration: windowSeconds }),
              options.timeoutMs,
            )
            health.answered()
            return {
              admitted: consumedPoints <= points,
              remaining: Math.max(0, points - consumedPoints),
              resetMs: msBeforeNext,
              store: 'redis',
            }
          } catch (cause) {
            health.failed(cause)
            return localBucket.take(key)
          }
        },
      }
    },
    close: async () => {
      client.disconnect()
      await local.close()
    },
  }
}

/** The client's own timeout begins anew where a cluster sends a command elsewhere. */
const inTime = async <T>(answer: Promise<T>, timeoutMs: number): Promise<T> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs)
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    clearTimeout(timer)
  }
}
