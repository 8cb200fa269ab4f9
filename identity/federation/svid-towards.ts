import type { TrustDomain } from '#contract/spiffe-id'
import type { OwnSvid, Svid } from '../svid/svid.ts'
import type { FederatedBundles } from './federated-bundles.ts'

/**
 * The own SVID for peers of another trust domain: the same certificate and key, with the roots of that domain and no
 * others to know them by. As long as there are none, nobody is known.
 */
export const svidTowards = (
  trustDomain: TrustDomain,
  ownSvid: Pick<OwnSvid, 'current' | 'onChange'>,
  federated: Pick<FederatedBundles, 'get' | 'onChange'>,
): OwnSvid => {
  let made: Svid | undefined
  let from: Svid | undefined
  const current = (): Svid => {
    const svid = ownSvid.current()
    const bundle = federated.get(trustDomain)?.x509Roots ?? ''
    if (made === undefined || from !== svid || made.bundle !== bundle) {
      made = { ...svid, bundle }
      from = svid
    }
    return made
  }
  return {
    current,
    onChange: (listener) => {
      const tell = () => listener(current())
      const stops = [ownSvid.onChange(tell), federated.onChange(trustDomain, tell)]
      return () => {
        for (const stop of stops) stop()
      }
    },
    close: () => {},
  }
}
