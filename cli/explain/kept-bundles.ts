import type { TrustDomain } from '#contract/spiffe-id'
import type { GatewayConfig } from '#config/schema'
import { bundleStoreIn, noBundleStore } from '#identity/federation/bundle-store'
import type { FederatedBundles } from '#identity/federation/federated-bundles'
import type { Bundle } from '#identity/svid/bundle'

/** The bundles of other trust domains as a gateway has kept them in `federation.directory`; nothing is fetched. */
export const keptBundles = async ({
  federation: { directory, trustDomains },
}: Pick<GatewayConfig, 'federation'>): Promise<FederatedBundles> => {
  const store = directory === undefined ? noBundleStore : bundleStoreIn(directory)
  const kept = new Map<TrustDomain, Bundle>()
  for (const name of Object.keys(trustDomains) as TrustDomain[]) {
    const bundle = await store.load(name)
    if (bundle.ok && bundle.value) kept.set(name, bundle.value)
  }
  return {
    get: (name) => kept.get(name),
    onChange: () => () => {},
    start: async () => {},
    status: () => ({}),
    close: () => {},
  }
}
