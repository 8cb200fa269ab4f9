import type { SpiffeId } from '#contract/spiffe-id'
import type { Upstream } from '#config/schema'
import type { UpstreamClient, UpstreamStats } from '#http/upstream-client'
import type { OwnSvid, Svid } from '#identity/svid/svid'

/** One endpoint's client, as picked for one request. */
export type Picked = { readonly endpoint: string; readonly client: UpstreamClient }

/** All endpoints of one service. */
export type UpstreamGroup = {
  readonly name: string
  readonly spiffeId: SpiffeId
  readonly config: Upstream
  /** The next endpoint in turn, or undefined when as many requests are under way as may be; call `done` after each. */
  readonly pick: () => Picked | undefined
  readonly done: () => void
  readonly inFlight: () => number
  /** Of each endpoint. */
  readonly stats: () => Readonly<Record<string, UpstreamStats>>
  readonly close: () => Promise<void>
}

type MakeClient = (endpoint: string, svid: Svid) => UpstreamClient

/**
 * Takes the endpoints in turn. When the own SVID changes, new connections are made with the new one; what is under way
 * on the old ones may finish.
 */
export const upstreamGroup = (
  name: string,
  config: Upstream,
  spiffeId: SpiffeId,
  ownSvid: OwnSvid,
  makeClient: MakeClient,
): UpstreamGroup => {
  const clientsFor = (svid: Svid): readonly Picked[] =>
    config.endpoints.map((endpoint) => ({ endpoint, client: makeClient(endpoint, svid) }))
  let clients = clientsFor(ownSvid.current())
  let turn = 0
  let inFlight = 0

  const closeAll = async (closing: readonly Picked[]) => {
    await Promise.all(closing.map(({ client }) => client.close()))
  }
  const stopFollowing = ownSvid.onChange((svid) => {
    const retired = clients
    clients = clientsFor(svid)
    void closeAll(retired)
  })

  return {
    name,
    spiffeId,
    config,
    pick: () => {
      if (inFlight >= config.maxInFlight) return undefined
      inFlight += 1
      turn = (turn + 1) % clients.length
      return clients[turn]
    },
    done: () => {
      inFlight -= 1
    },
    inFlight: () => inFlight,
    stats: () =>
      Object.fromEntries(clients.map(({ endpoint, client }) => [endpoint, client.stats()])),
    close: async () => {
      stopFollowing()
      await closeAll(clients)
    },
  }
}
