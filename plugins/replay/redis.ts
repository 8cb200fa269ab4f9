import { Redis, type RedisOptions } from 'ioredis'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Secret } from '#contract/secret'
import type { Log } from '#contract/telemetry'
import type { Seen, Sighting } from './seen.ts'

export type RedisSeenOptions = {
  /** `redis://` or `rediss://`, with name, password and number of the database. */
  readonly url: Secret<string>
  /** PEM certificates to trust instead of the public ones. */
  readonly ca?: string
  readonly timeoutMs: number
  /** Asked while it is away; without one nobody can tell. */
  readonly meanwhile: Seen | undefined
}

export type RedisSeenParts = {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly log: Log
}

const prefix = 'sallyport:seen:'
const connectTimeoutMs = 1000
const silenceMs = 2000
const maxRetryDelayMs = 2000
const probeEveryMs = 1000

/**
 * Remembers in one Redis server that all replicas share, by `SET NX PX`: of two replicas that see one id, one is the first.
 * While it is away nothing is queued for it; after a failure it is asked once a second.
 *
 * @throws TypeError if the URL is not one of Redis; it does not repeat the URL, which holds a password.
 */
export const redisSeen = async (
  { url, ca, timeoutMs, meanwhile }: RedisSeenOptions,
  { clock, randomBytes, log }: RedisSeenParts,
): Promise<Seen> => {
  const client = new Redis({
    ...addressOf(url, ca),
    connectionName: 'sallyport-seen',
    connectTimeout: connectTimeoutMs,
    commandTimeout: timeoutMs,
    socketTimeout: silenceMs,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    retryStrategy: (attempt: number) =>
      Math.min(100 * attempt, maxRetryDelayMs) + (randomBytes(1)[0] ?? 0) / 2,
  } satisfies RedisOptions)
  let isAway = false
  let nextProbeMs = 0
  const failed = (cause: unknown) => {
    nextProbeMs = performance.now() + probeEveryMs
    if (isAway) return
    isAway = true
    const reason = cause instanceof Error ? cause.message : String(cause)
    log.error({ reason }, 'what was used once cannot be remembered for all replicas: Redis is away')
  }
  client.on('error', failed)
  await firstConnection(client)

  const withoutIt = (id: string, expiresAtMs: number): Sighting | Promise<Sighting> =>
    meanwhile ? meanwhile.see(id, expiresAtMs) : 'unknown'

  return {
    see: async (id, expiresAtMs) => {
      if (isAway && performance.now() < nextProbeMs) return withoutIt(id, expiresAtMs)
      try {
        const leftMs = Math.max(1, Math.ceil(expiresAtMs - clock()))
        const answer = await client.set(prefix + id, '1', 'PX', leftMs, 'NX')
        if (isAway) log.info({}, 'Redis remembers again what was used once')
        isAway = false
        return answer === 'OK' ? 'first' : 'again'
      } catch (cause) {
        failed(cause)
        return withoutIt(id, expiresAtMs)
      }
    },
    close: async () => {
      client.disconnect()
      await meanwhile?.close()
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

const addressOf = (url: Secret<string>, ca: string | undefined) => {
  const parsed = URL.parse(url.reveal().trim())
  const isRedis = parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:'
  if (parsed === null || !isRedis || parsed.hostname === '' || !/^\/?\d*$/.test(parsed.pathname))
    throw new TypeError(
      'replay: the URL of the Redis server is not of the form redis://NAME:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS',
    )
  const { protocol, hostname, port, username, password, pathname } = parsed
  return {
    host: hostname.replace(/^\[(.*)\]$/, '$1'), // an IPv6 address stands in brackets in a URL only
    port: port === '' ? 6379 : Number(port),
    ...(username !== '' && { username: decodeURIComponent(username) }),
    ...(password !== '' && { password: decodeURIComponent(password) }),
    db: Number(pathname.slice(1)),
    ...(protocol === 'rediss:' && { tls: { ...(ca !== undefined && { ca }) } }),
  }
}
