import { Redis, type RedisOptions } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Secret } from '#contract/secret'
import type { Log } from '#contract/telemetry'
import type { BucketStore, Spent } from './bucket.ts'
import { memoryStore } from './memory.ts'
import { storeHealth } from './store-health.ts'

const connectTimeoutMs = 1000
const silenceMs = 2000
const maxRetryDelayMs = 2000

export type RedisStoreOptions = {
  /** `redis://` or `rediss://`, with name, password and number of the database. */
  readonly url: Secret<string>
  /** PEM certificates to trust instead of the public ones. */
  readonly ca?: string
  /** Longest wait for an answer; then the local limiter decides. */
  readonly timeoutMs: number
  /** Of the local limiter. */
  readonly memorySlots: number
}

export type StoreParts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/**
 * Counts in one Redis server that all gateways share. While it is away, slow or answers with an error a bounded local
 * limiter decides, and its decisions say so; that and the way back are logged once each. Nothing is queued for a server
 * that is away.
 *
 * Waits up to a second for the first connection, and goes on without it.
 *
 * @throws TypeError if the URL is not one of Redis; it does not repeat the URL, which holds a password.
 */
export const redisStore = async (
  options: RedisStoreOptions,
  parts: StoreParts,
): Promise<BucketStore> => {
  const local = memoryStore({ slots: options.memorySlots, store: 'fallback' }, parts)
  const client = new Redis(connection(options, parts.randomBytes))
  const health = storeHealth('redis', parts.log)
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
            const { consumedPoints, msBeforeNext } = await limiter.consume(`${name}:${key}`, 1, {
              customDuration: windowSeconds,
            })
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

/** Until it is there, or has failed, or has taken too long. */
const firstConnection = (client: Redis): Promise<void> =>
  new Promise((resolve) => {
    client.once('ready', resolve)
    client.once('error', () => resolve())
    setTimeout(resolve, connectTimeoutMs).unref()
  })

const connection = ({ url, ca, timeoutMs }: RedisStoreOptions, randomBytes: RandomBytes) => {
  const { protocol, hostname, port, username, password, pathname } = parseRedisUrl(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1') // an IPv6 address stands in brackets in a URL only
  return {
    host,
    port: port === '' ? 6379 : Number(port),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1)),
    ...(protocol === 'rediss:' && { tls: { ...(ca !== undefined && { ca }) } }),
    connectionName: 'sallyport-limits',
    connectTimeout: connectTimeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: silenceMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) =>
      Math.min(100 * attempt, maxRetryDelayMs) + (randomBytes(1)[0] ?? 0) / 2, // not all gateways at once
  } satisfies RedisOptions
}

const parseRedisUrl = (url: Secret<string>): URL => {
  const parsed = URL.parse(url.reveal().trim())
  const isRedis = parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:'
  if (parsed === null || !isRedis || parsed.hostname === '' || !/^\/?\d*$/.test(parsed.pathname))
    throw new TypeError(
      'the URL of the Redis server is not of the form redis://NAME:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS',
    )
  return parsed
}
