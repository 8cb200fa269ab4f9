import type { Clock, RandomBytes, Sleep } from '#contract/clock'
import { trustDomainOf, type SpiffeId, type TrustDomain } from '#contract/spiffe-id'
import type { Log, Meter } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import { federatedBundles, type FederatedBundles } from '#identity/federation/federated-bundles'
import { federatedSvids, type FederatedSvids } from '#identity/federation/federated-svids'

/**
 * Other trust domains, and who of them may come here by certificate: members of those that a client is configured of. As
 * whom they come is for the client's own entry to say.
 */
export const federationOf = (
  { federation, clients, trustDomain }: ExchangeConfig,
  ownRoots: () => string,
  ports: {
    readonly clock: Clock
    readonly sleep: Sleep
    readonly randomBytes: RandomBytes
    readonly meter: Meter
    readonly log: Log
  },
): { readonly bundles: FederatedBundles; readonly strangers: FederatedSvids } => {
  const ownTrustDomain = trustDomain as TrustDomain
  const bundles = federatedBundles(federation, { ...ports, ownRoots, ownTrustDomain })
  const ofClients = Object.values(clients).flatMap(({ authentication }) =>
    authentication.method === 'tls_client_auth'
      ? [trustDomainOf(authentication.spiffeId as SpiffeId)]
      : [],
  )
  const accepted = new Set(ofClients.filter((domain) => domain !== ownTrustDomain))
  return { bundles, strangers: federatedSvids(bundles, accepted) }
}
