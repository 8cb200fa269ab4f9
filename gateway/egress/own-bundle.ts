import type { RandomBytes, Sleep } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import type { GatewayConfig } from '#config/schema'
import type { AgentBundle } from '#identity/federation/agent-bundle'
import type { Bundle } from '#identity/svid/bundle'
import type { ExchangeAddress } from '#identity/svid/exchange-connection'
import type { OwnSvid } from '#identity/svid/svid'
import { trustBundle } from '#identity/svid/trust-bundle'

type Ports = {
  readonly ownSvid: OwnSvid
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly log: Log
}

/**
 * By what JWT-SVIDs of our own trust domain are checked: the keys of the exchange, and where a SPIRE agent gives us our
 * identity those of SPIRE beside them, which issues for the same trust domain.
 */
export const ownBundle = async (
  { identity, trustDomain: name }: Pick<GatewayConfig, 'identity' | 'trustDomain'>,
  exchange: ExchangeAddress,
  ports: Ports,
): Promise<{ readonly current: () => Bundle | undefined; readonly close: () => void }> => {
  const trustDomain = name as TrustDomain // the schema has checked its grammar
  const ofExchange = trustBundle({
    ...ports,
    exchange,
    trustDomain,
    roots: () => ports.ownSvid.current().bundle,
  })
  if (identity.source !== 'workload-api') return ofExchange
  // Its packages are read only where it is configured.
  const { agentBundle } = await import('#identity/federation/agent-bundle')
  const ofAgent = agentBundle({
    ...ports,
    socket: identity.socket,
    trustDomain,
    fetched: () => {},
  })
  return {
    current: joined(ofExchange.current, ofAgent.current),
    close: () => {
      ofExchange.close()
      ofAgent.close()
    },
  }
}

/** The keys of both, put together again only when one has changed. */
const joined = (ofExchange: () => Bundle | undefined, ofAgent: AgentBundle['current']) => {
  let from: readonly (Bundle | undefined)[] = []
  let made: Bundle | undefined
  return (): Bundle | undefined => {
    const [exchange, agent] = [ofExchange(), ofAgent()]
    if (exchange === undefined || agent === undefined) return exchange ?? agent
    if (from[0] !== exchange || from[1] !== agent) {
      made = { ...exchange, jwtKeys: new Map([...agent.jwtKeys, ...exchange.jwtKeys]) }
      from = [exchange, agent]
    }
    return made
  }
}
