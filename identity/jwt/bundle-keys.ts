import type { TrustDomain } from '#contract/spiffe-id'
import type { FederatedBundles } from '../federation/federated-bundles.ts'
import type { IssuerKeys } from './issuer-keys.ts'

/**
 * The keys of another trust domain: those that its bundle has for JWT-SVIDs, and never those of anyone else's. `federation`
 * keeps the bundle fresh, so nothing is fetched for a token. A key that is not there does not exist: they are published well
 * before they sign (SPIFFE Federation §4).
 */
export const bundleKeys = (
  trustDomain: TrustDomain,
  bundles: Pick<FederatedBundles, 'get' | 'status'>,
  nowMs: () => number,
): IssuerKeys => {
  const keys = () => bundles.get(trustDomain)?.jwtKeys
  const usable = () => (keys()?.size ?? 0) > 0
  return {
    start: async () => {},
    get: (kid) => keys()?.get(kid),
    usable,
    seek: () => (usable() ? 'unknown' : 'unavailable'),
    status: () => {
      const refreshedAtMs = bundles.status()[trustDomain]?.refreshedAtMs
      return {
        usable: usable(),
        kids: [...(keys()?.keys() ?? [])],
        ignored: [],
        ageSeconds:
          refreshedAtMs === undefined ? undefined : Math.round((nowMs() - refreshedAtMs) / 1000),
        fault: usable() ? undefined : 'there is no bundle with keys for JWT-SVIDs',
      }
    },
    close: () => {},
  }
}
