import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RandomBytes } from '#contract/clock'
import type { Secret } from '#contract/secret'
import type { RateLimitStoreOptions } from './options.ts'
import { readRedisUrls, type RedisPlaces } from './redis-urls.ts'

const redisPort = 6379
const sentinelPort = 26_379
const connectTimeoutMs = 1000
const silenceMs = 2000
const maxRetryDelayMs = 2000

export type RedisClientOptions = Pick<
  NonNullable<RateLimitStoreOptions['redis']>,
  'topology' | 'masterName' | 'sentinelPassword' | 'timeoutMs'
> & {
  /** One a line, with name, password and number of the database. */
  readonly url: Secret<string>
  /** PEM certificates to trust instead of the public ones. */
  readonly ca?: string
}

export type RedisClient = Redis | Cluster

/**
 * Connects to one server, to the master that sentinels name, or to a cluster. Nothing is queued for a server that is
 * away, and nothing is sent a second time: a limit would count it twice.
 *
 * @throws TypeError for URLs and settings that do not fit together; it does not repeat a URL, which holds a password.
 */
export const redisClient = (options: RedisClientOptions, randomBytes: RandomBytes): RedisClient => {
  const { topology, masterName, sentinelPassword } = options
  const places = readRedisUrls(options.url, topology === 'sentinel' ? sentinelPort : redisPort)
  if ((topology === 'sentinel') !== (masterName !== undefined))
    throw new TypeError(
      'limits.store.redis: `masterName` belongs to `topology: sentinel`, and only there',
    )
  if (topology !== 'sentinel' && sentinelPassword !== undefined)
    throw new TypeError('limits.store.redis: `sentinelPassword` is for `topology: sentinel` alone')
  const common = commonOptions(options, places, randomBytes)
  switch (topology) {
    case 'single': {
      const [node, ...others] = places.nodes
      if (others.length > 0)
        throw new TypeError(
          'limits.store.redis: several URLs need `topology: sentinel` or `topology: cluster`',
        )
      return new Redis({ ...common, ...node, db: places.db })
    }
    case 'sentinel':
      return new Redis({
        ...common,
        db: places.db,
        sentinels: [...places.nodes],
        name: masterName,
        ...(sentinelPassword ? { sentinelPassword: sentinelPassword.reveal() } : {}),
        ...(common.tls ? { enableTLSForSentinelMode: true, sentinelTLS: common.tls } : {}),
        sentinelCommandTimeout: connectTimeoutMs,
        sentinelRetryStrategy: retryDelay(randomBytes),
        failoverDetector: true, // a master that hangs does not say that it is one no more
      })
    case 'cluster':
      if (places.db !== 0)
        throw new TypeError('limits.store.redis: a cluster has no database but number 0')
      return new Cluster([...places.nodes], {
        redisOptions: common,
        enableOfflineQueue: false,
        clusterRetryStrategy: retryDelay(randomBytes),
        scaleReads: 'master',
        maxRedirections: 3,
        retryDelayOnFailover: 20,
        retryDelayOnClusterDown: 20,
        retryDelayOnTryAgain: 20,
        slotsRefreshTimeout: connectTimeoutMs,
        slotsRefreshInterval: maxRetryDelayMs,
      })
    default:
      return topology satisfies never
  }
}

const commonOptions = (
  { timeoutMs, ca }: RedisClientOptions,
  { username, password, isTls }: RedisPlaces,
  randomBytes: RandomBytes,
) =>
  ({
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(isTls ? { tls: ca === undefined ? {} : { ca } } : {}),
    connectionName: 'sallyport-limits',
    connectTimeout: connectTimeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: silenceMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: retryDelay(randomBytes),
    // A master that has become a replica: connect anew, which finds the new one.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY '),
  }) satisfies RedisOptions

/** Longer each time, and not for all gateways at once. */
const retryDelay = (randomBytes: RandomBytes) => (attempt: number) =>
  Math.min(100 * attempt, maxRetryDelayMs) + (randomBytes(1)[0] ?? 0) / 2

/** Until it is there, or has failed, or has taken too long. */
export const firstConnection = (client: RedisClient): Promise<void> =>
  new Promise((resolve) => {
    client.once('ready', resolve)
    client.once('error', () => resolve())
    setTimeout(resolve, connectTimeoutMs).unref()
  })
