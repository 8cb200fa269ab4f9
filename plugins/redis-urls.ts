import type { Secret } from '#contract/secret'

/** Where Redis is, and as whom to come. */
export type RedisPlaces = {
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  readonly isTls: boolean
  readonly username: string | undefined
  readonly password: string | undefined
  /** Number of the database. */
  readonly db: number
}

/**
 * Reads URLs, one a line. They differ in host and port alone.
 *
 * @param setting That errors name, with `.url` behind it.
 * @throws TypeError that does not repeat them, for they hold a password.
 */
export const readRedisUrls = (
  urls: Secret<string>,
  defaultPort: number,
  setting: string,
): RedisPlaces => {
  const all = urls
    .reveal()
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .map((line) => readUrl(line, defaultPort, setting))
  const [first] = all
  if (first === undefined) throw new TypeError(`${setting}.url: there is no URL of Redis`)
  if (all.some(({ same }) => same !== first.same))
    throw new TypeError(
      `${setting}.url: the URLs of Redis differ in more than host and port; scheme, name, password and number are one for all`,
    )
  return { ...first.places, nodes: all.flatMap(({ places }) => places.nodes) }
}

const readUrl = (text: string, defaultPort: number, setting: string) => {
  const parsed = URL.parse(text)
  const isRedis = parsed?.protocol === 'redis:' || parsed?.protocol === 'rediss:'
  if (parsed === null || !isRedis || parsed.hostname === '' || !/^\/?\d*$/.test(parsed.pathname))
    throw new TypeError(
      `${setting}.url: the URL of the Redis server is not of the form redis://NAME:PASSWORD@HOST:PORT/NUMBER, or rediss:// for TLS`,
    )
  const { protocol, hostname, port, username, password, pathname } = parsed
  const host = hostname.replace(/^\[(.*)\]$/, '$1') // an IPv6 address stands in brackets in a URL only
  const places: RedisPlaces = {
    nodes: [{ host, port: port === '' ? defaultPort : Number(port) }],
    isTls: protocol === 'rediss:',
    username: username === '' ? undefined : decodeURIComponent(username),
    password: password === '' ? undefined : decodeURIComponent(password),
    db: Number(pathname.slice(1)),
  }
  return { places, same: JSON.stringify([protocol, username, password, places.db]) }
}
