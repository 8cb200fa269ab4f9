import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import { addressOf } from './dial.ts'

/** Addresses of a host name, in no order. Rejects if there are none. */
export type ResolveName = (host: string) => Promise<readonly string[]>

/** By the system's resolver, which knows /etc/hosts, too. */
export const systemResolver: ResolveName = async (host) => {
  const found = await lookup(host, { all: true })
  return found.map(({ address }) => address)
}

/** More of one name are left out: each has connections of its own. */
const maxAddresses = 64

export type NameWatch = {
  /** Resolves once each name was asked for. */
  readonly asked: () => Promise<void>
  readonly stop: () => void
}

/**
 * Looks names of endpoints up again and again. What cannot be looked up, or has no address, keeps those that it had.
 *
 * @param changed Told of an endpoint's addresses, sorted, when they are others than before.
 * @param failed Told of each failure after a success, and of the first.
 */
export const watchNames = (
  endpoints: readonly string[],
  everySeconds: number,
  resolve: ResolveName,
  changed: (endpoint: string, addresses: readonly string[]) => void,
  failed: (endpoint: string, cause: unknown) => void,
): NameWatch => {
  const named = endpoints.filter((endpoint) => isIP(addressOf(endpoint).host) === 0)
  const known = new Map<string, string>()
  const failing = new Set<string>()
  let isStopped = false

  const ask = async (endpoint: string) => {
    try {
      const found = await resolve(addressOf(endpoint).host)
      const addresses = [...new Set(found)].toSorted().slice(0, maxAddresses)
      if (addresses.length === 0) throw new Error('it has no address')
      failing.delete(endpoint)
      const text = addresses.join(' ')
      if (isStopped || known.get(endpoint) === text) return
      known.set(endpoint, text)
      changed(endpoint, addresses)
    } catch (cause) {
      if (!failing.has(endpoint)) failed(endpoint, cause)
      failing.add(endpoint)
    }
  }
  const askAll = async () => {
    await Promise.all(named.map(ask))
  }
  const first = askAll()
  const timer = setInterval(() => void askAll(), everySeconds * 1000).unref()
  return {
    asked: () => first,
    stop: () => {
      isStopped = true
      clearInterval(timer)
    },
  }
}
