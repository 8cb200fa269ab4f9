import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RandomBytes } from '#contract/clock'
import type { Secret } from '#contract/secret'
import { readRedisUrls, type RedisPlaces } from './redis-urls.ts'

const redisPort = 6379
const sentinelPort = 26_379
const connectTimeoutMs = 1000
const silenceMs = 2000
const maxRetryDelayMs = 2000

/** One server. */
export type RedisServerOptions = {
  /** `redis://` or `rediss://`, with name, password and number of the database. */
  readonly url: Secret<string>
  /** PEM certificates to trust instead of the public ones. */
  readonly ca?: string
  readonly timeoutMs: number
}

export type RedisClientOptions = RedisServerOptions & {
  /** With another than `single`, several URLs may be given, one a line. */
  readonly topology: 'single' | 'sentinel' | 'cluster'
  readonly masterName?: string
  readonly sentinelPassword?: Secret<string>
}

export type RedisClientParts = {
  /** What it is for, as Redis shows it to its operators. */
  readonly connectionName: string
  /** The setting that errors name, such as `limits.store.redis`. */
  readonly setting: string
  readonly randomBytes: RandomBytes
}

export type RedisClient = Redis | Cluster

/**
 * Connects to one server, to the master that sentinels name, or to a cluster. Nothing is queued for a server that is
 * away, and nothing is sent a second time: a limit would count it twice.
 *
 * @throws TypeError for URLs and settings that do not fit together; it does not repeat a URL, which holds a password.
 */
export const redisClient = (options: RedisClientOptions, parts: RedisClientParts): RedisClient => {
  const { topology, masterName, sentinelPassword } = options
  const { setting, randomBytes } = parts
  if ((topology === 'sentinel') !== (masterName !== undefined))
    throw new TypeError(
      `${setting}: \`masterName\` belongs to \`topology: sentinel\`, and only there`,
    )
  if (topology !== 'sentinel' && sentinelPassword !== undefined)
    throw new TypeError(`${setting}: \`sentinelPassword\` is for \`topology: sentinel\` alone`)
  switch (topology) {
    case 'single': {
      const places = readRedisUrls(options.url, redisPort, setting)
      const [node, ...others] = places.nodes
      if (others.length > 0)
        throw new TypeError(
          `${setting}: several URLs need \`topology: sentinel\` or \`topology: cluster\``,
        )
      return new Redis({ ...commonOptions(options, places, parts), ...node, db: places.db })
    }
    case 'sentinel': {
      const places = readRedisUrls(options.url, sentinelPort, setting)
      const common = commonOptions(options, places, parts)
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
    }
    case 'cluster': {
      const places = readRedisUrls(options.url, redisPort, setting)
      if (places.db !== 0) throw new TypeError(`${setting}: a cluster has no database but number 0`)
      const cluster = new Cluster([...places.nodes], {
        redisOptions: commonOptions(options, places, parts),
        enableOfflineQueue: false,
        clusterRetryStrategy: retryDelay(randomBytes),
        scaleReads: 'master',
        maxRedirections: 3,
        retryDelayOnFailover: 20,
        retryDelayOnClusterDown: 20,
        retryDelayOnTryAgain: 20,
        slotsRefreshTimeout: connectTimeoutMs,
      })
      refreshSlots(cluster)
      return cluster
    }
    default:
      return topology satisfies never
  }
}

/**
 * In the place of `slotsRefreshInterval`: its timer goes on for ever, and keeps the process, where a cluster is closed while
 * a refresh is under way.
 */
const refreshSlots = (cluster: Cluster): void => {
  const timer = setInterval(() => cluster.refreshSlotsCache(), maxRetryDelayMs).unref()
  cluster.once('end', () => clearInterval(timer))
}

/** The same for listening alone: whoever uses it subscribes after each `ready`. */
export const redisSubscriber = (
  options: RedisClientOptions,
  parts: RedisClientParts,
): RedisClient => {
  const client = redisClient(options, parts)
  if (client instanceof Redis) client.options.autoResubscribe = false
  return client
}

const commonOptions = (
  { timeoutMs, ca }: RedisServerOptions,
  { username, password, isTls }: RedisPlaces,
  { connectionName, randomBytes }: RedisClientParts,
) =>
  ({
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(isTls ? { tls: ca === undefined ? {} : { ca } } : {}),
    connectionName,
    connectTimeout: connectTimeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: Math.max(silenceMs, 2 * timeoutMs), // for an answer that is due
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
