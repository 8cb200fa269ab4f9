import { trustDomainOf, type SpiffeId, type TrustDomain } from '#contract/spiffe-id'
import { boundedFetch } from '#http/bounded-fetch'
import { bad, good, type Outcome } from '../outcome.ts'
import { spiffePeer } from '../svid/peer.ts'

/** Where the bundle of another trust domain is, and how who answers there proves to be the one. */
export type BundleEndpoint =
  | {
      readonly profile: 'https_web'
      readonly url: string
      /** PEM roots instead of the public ones. */
      readonly ca: string | undefined
    }
  | { readonly profile: 'https_spiffe'; readonly url: string; readonly spiffeId: SpiffeId }

const timeoutMs = 10_000

/**
 * Asks a bundle endpoint. We show no certificate, and no redirect is followed: the standard allows it, where the target
 * satisfies the same profile, but nobody can tell where that is meant to lead.
 *
 * @param rootsOf PEM roots of a trust domain as they are held now, for `https_spiffe`.
 * @see SPIFFE Federation §5
 */
export const askBundleEndpoint = async (
  endpoint: BundleEndpoint,
  rootsOf: (trustDomain: TrustDomain) => string,
): Promise<Outcome<Buffer>> => {
  const trust = trustOf(endpoint, rootsOf)
  if (!trust.ok) return trust
  const fetcher = boundedFetch({ ...trust.value, timeoutMs })
  try {
    const answer = await fetcher.ask(endpoint.url, { headers: { accept: 'application/json' } })
    if (!answer.ok) return bad(`${endpoint.url}: ${answer.fault}`)
    return answer.status === 200
      ? good(answer.body)
      : bad(`${endpoint.url} answered ${answer.status}`)
  } finally {
    fetcher.close()
  }
}

const trustOf = (
  endpoint: BundleEndpoint,
  rootsOf: (trustDomain: TrustDomain) => string,
): Outcome<Parameters<typeof boundedFetch>[0]> => {
  switch (endpoint.profile) {
    case 'https_web':
      return good(endpoint.ca === undefined ? {} : { ca: endpoint.ca })
    case 'https_spiffe': {
      const { spiffeId } = endpoint
      const bundle = rootsOf(trustDomainOf(spiffeId))
      if (bundle === '') return bad(`there are no roots yet by which ${spiffeId} could be known`)
      const { checkServerIdentity } = spiffePeer({ expected: spiffeId, bundle }).tlsOptions
      return good({ ca: bundle, checkServerIdentity })
    }
    default:
      return endpoint satisfies never
  }
}
