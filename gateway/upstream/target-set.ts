import type { Upstream } from '#config/schema'
import type { OwnSvid } from '#identity/svid/svid'
import { clientsOf, nameOf, newTarget, type MakeClients, type Target } from './target.ts'

/** The targets of one upstream: one for each endpoint, or for each address of an endpoint's name. */
export type TargetSet = {
  readonly endpoints: readonly string[]
  readonly all: () => readonly Target[]
  /** From now on these are the addresses of an endpoint. Those that it had already stay as they are. */
  readonly place: (endpoint: string, addresses: readonly string[]) => void
  readonly close: () => Promise<void>
}

/** Until its name was looked up an endpoint is one target, and whoever connects looks it up. */
export const targetSet = (
  endpoints: Upstream['endpoints'],
  ownSvid: OwnSvid,
  makeClients: MakeClients,
): TargetSet => {
  const weights = new Map(
    endpoints.map((endpoint) =>
      typeof endpoint === 'string' ? [endpoint, 1] : [endpoint.url, endpoint.weight],
    ),
  )
  const make = (endpoint: string, weight: number, address?: string): Target => {
    const place = address === undefined ? { endpoint } : { endpoint, address }
    return newTarget(place, weight, clientsOf(place, ownSvid.current(), makeClients))
  }
  let all: readonly Target[] = [...weights].map(([endpoint, weight]) => make(endpoint, weight))

  const stopFollowing = ownSvid.onChange((svid) => {
    for (const target of all) {
      void target.clients.close()
      target.clients = clientsOf(target.place, svid, makeClients)
    }
  })

  const place = (endpoint: string, addresses: readonly string[]) => {
    const weight = (weights.get(endpoint) ?? 1) / addresses.length
    const known = new Map(all.map((target) => [target.name, target]))
    const placed = addresses.map((address) => {
      const had = known.get(nameOf({ endpoint, address }))
      return had ? Object.assign(had, { weight }) : make(endpoint, weight, address)
    })
    const [others, before] = [
      all.filter((target) => target.place.endpoint !== endpoint),
      all.filter((target) => target.place.endpoint === endpoint),
    ]
    all = [...others, ...placed]
    // What is under way there may finish.
    for (const target of before) if (!placed.includes(target)) void target.clients.close()
  }

  return {
    endpoints: [...weights.keys()],
    all: () => all,
    place,
    close: async () => {
      stopFollowing()
      await Promise.all(all.map(({ clients }) => clients.close()))
    },
  }
}
