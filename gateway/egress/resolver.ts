import { Resolver } from 'node:dns/promises'
import { pass, refuse, type Result } from '#contract/problem'
import type { Meter } from '#contract/telemetry'
import { underWay } from '#contract/under-way'
import type { Egress } from '#config/schema'

export type Resolved = {
  /** In the order in which they came. */
  readonly addresses: readonly string[]
  /** Names that stand between, as far as they were told in time: for the record alone, no address is taken from them. */
  readonly aliases: readonly string[]
}

/** Finds the addresses of names, each anew when its time is over. */
export type NameResolver = {
  /**
   * All addresses of a name.
   *
   * @returns Refuses with `destination-unresolved` or `destination-timeout`.
   */
  readonly resolve: (host: string) => Promise<Result<Resolved>>
  readonly size: () => number
}

type Known = { readonly answer: Result<Resolved>; readonly untilMs: number }

/** More are not judged one by one, and so not dialled at all. */
const maxAddresses = 256
/** How long it is remembered that a name has no address. */
const absentMs = 1000
const tries = 2
/** Of the time that a question has: nobody is kept waiting much longer for what is only to be recorded. */
const aliasShare = 0.1
const maxAliases = 8
const maxAliasChars = 253

/** There is no such name, or it has no address of this kind: an answer, and no failure. */
const absentCodes: ReadonlySet<string> = new Set(['ENOTFOUND', 'ENODATA'])
const timeoutCodes: ReadonlySet<string> = new Set(['ETIMEOUT', 'ECANCELLED'])

/**
 * Resolves names by DNS alone: `/etc/hosts` and search domains would make one name mean several. An answer is remembered
 * for as long as it says and `maxTtlSeconds`, in bounded memory, and is judged anew at each use. Who asks for a name that is
 * being asked for shares the answer.
 *
 * @param uptimeMs A clock that never goes back.
 */
export const nameResolver = (
  options: Egress['dns'],
  { meter, uptimeMs }: { readonly meter: Meter; readonly uptimeMs: () => number },
): NameResolver => {
  const { hosts, timeoutMs, maxTtlSeconds, cacheEntries, servers } = options
  const resolver = new Resolver({
    timeout: Math.ceil(timeoutMs / tries),
    tries,
    maxTimeout: timeoutMs,
  })
  if (servers.length > 0) resolver.setServers([...servers])
  const known = new Map<string, Known>()
  const asking = underWay<Result<Resolved>>()
  const count = (result: 'known' | 'asked' | 'none' | 'failed' | 'timeout') =>
    meter.counter('sallyport_egress_lookups_total', { result })
  const counters = {
    known: count('known'),
    asked: count('asked'),
    none: count('none'),
    failed: count('failed'),
    timeout: count('timeout'),
  }

  const remember = (host: string, answer: Known['answer'], forMs: number) => {
    known.delete(host)
    if (forMs <= 0) return
    const [oldest] = known.keys()
    if (known.size >= cacheEntries && oldest !== undefined) known.delete(oldest)
    known.set(host, { answer, untilMs: uptimeMs() + forMs })
  }

  const ask = async (host: string): Promise<Result<Resolved>> => {
    const chain = aliasesOf(resolver, host)
    const [four, six] = await Promise.all([
      within(timeoutMs, recordsOf(resolver.resolve4(host, { ttl: true }))),
      within(timeoutMs, recordsOf(resolver.resolve6(host, { ttl: true }))),
    ])
    const records = [...four.records, ...six.records]
    if (records.length > maxAddresses) {
      counters.failed()
      return refuse('destination-unresolved', { cause: `more than ${maxAddresses} addresses` })
    }
    if (records.length > 0) {
      counters.asked()
      const addresses = records.map(({ address }) => address)
      const answer = pass({ addresses, aliases: await chain.known(timeoutMs * aliasShare) })
      const ttlSeconds = Math.min(maxTtlSeconds, ...records.map(({ ttl }) => ttl))
      remember(host, answer, ttlSeconds * 1000)
      return answer
    }
    const code = [four.code, six.code].find((one) => !absentCodes.has(one)) ?? four.code
    if (absentCodes.has(code)) {
      counters.none()
      const absent = refuse('destination-unresolved', {
        detail: `${host} has no address.`,
        cause: code,
      })
      remember(host, absent, Math.min(absentMs, maxTtlSeconds * 1000))
      return absent
    }
    const isLate = timeoutCodes.has(code)
    counters[isLate ? 'timeout' : 'failed']()
    return refuse(isLate ? 'destination-timeout' : 'destination-unresolved', {
      detail: `The resolver gave no answer for ${host}.`,
      cause: code,
    })
  }

  return {
    resolve: (host) => {
      const own = Object.hasOwn(hosts, host) ? hosts[host] : undefined
      if (own) return Promise.resolve(pass({ addresses: own, aliases: [] }))
      const remembered = known.get(host)
      if (remembered && remembered.untilMs > uptimeMs()) {
        counters.known()
        return Promise.resolve(remembered.answer)
      }
      return asking.share(host, (answered) => ask(host).finally(answered))
    },
    size: () => known.size,
  }
}

type Records = {
  readonly records: readonly { readonly address: string; readonly ttl: number }[]
  /** Why there are none. */
  readonly code: string
}

const recordsOf = async (
  asked: Promise<{ readonly address: string; readonly ttl: number }[]>,
): Promise<Records> => {
  try {
    return { records: await asked, code: 'ENODATA' }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    if (code === undefined) throw cause
    return { records: [], code }
  }
}

/**
 * Follows a name from alias to alias. The answers that addresses came with say the same, but the platform's resolver does not
 * show it.
 */
const aliasesOf = (resolver: Resolver, host: string) => {
  const aliases: string[] = []
  const follow = async () => {
    for (let name = host; aliases.length < maxAliases;) {
      const [alias] = await resolver.resolveCname(name)
      if (alias === undefined || alias === host || aliases.includes(alias)) return
      aliases.push(alias)
      name = alias
    }
  }
  // Whatever fails: there is none, or it is not known.
  const all = follow().catch(() => {})
  return {
    /** Those that are known by then. */
    known: async (waitMs: number): Promise<readonly string[]> => {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, waitMs)
      })
      await Promise.race([all, late])
      clearTimeout(timer)
      return aliases.map((alias) => alias.slice(0, maxAliasChars).replace(/[^\x21-\x7e]/g, '?'))
    },
  }
}

/** The resolver has timeouts of its own, for each try and server; this one is for all of them. */
const within = async (ms: number, asked: Promise<Records>): Promise<Records> => {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Records>((resolve) => {
    timer = setTimeout(() => resolve({ records: [], code: 'ETIMEOUT' }), ms)
  })
  try {
    return await Promise.race([asked, late])
  } finally {
    clearTimeout(timer)
  }
}
