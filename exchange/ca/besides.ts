import { createHash, X509Certificate } from 'node:crypto'
import type { Bundle } from '#identity/svid/bundle'
import { certificatesOf } from '#identity/svid/pem'
import type { Svid } from '#identity/svid/svid'
import type { KeyState } from '../keys/key-store.ts'
import { everyKey } from './slots.ts'

/**
 * Authorities of our trust domain beside our own keys: of whoever gives us our certificate, SPIRE or the files of the
 * configuration. What we publish has them too, or nobody who goes by it could tell who we are, nor whom else that one
 * certifies.
 */
export type Besides = {
  /** DER. */
  readonly roots: readonly Buffer[]
  readonly intermediates: readonly Buffer[]
  /** Public JWKs of keys for JWT-SVIDs, each with its `kid`. */
  readonly jwtKeys: readonly Readonly<Record<string, unknown>>[]
}

export const nothingBesides: Besides = { roots: [], intermediates: [], jwtKeys: [] }

/** Of an SVID that was checked, and of the bundle that its agent gives with keys for JWT-SVIDs. */
export const besidesOf = (svid: Svid | undefined, bundle: Bundle | undefined): Besides =>
  svid === undefined
    ? nothingBesides
    : {
        roots: derOf(svid.bundle),
        intermediates: derOf(svid.certificateChain).slice(1),
        jwtKeys: [...(bundle?.jwtKeys.values() ?? [])].map(({ kid, algorithm, jwk }) => ({
          ...jwk,
          alg: algorithm,
          kid,
        })),
      }

/**
 * Without what our own keys are already. A key of theirs that has the `kid` of one of ours is left out: a bundle with
 * one `kid` twice is worth nothing to anyone.
 */
export const withoutOurs = (besides: Besides, { roots, intermediates, jwtKeys }: KeyState) => {
  const certificates = [...everyKey(roots), ...everyKey(intermediates)]
  const isOurs = (der: Buffer) => certificates.some(({ certificate }) => certificate.equals(der))
  const kids = new Set<unknown>(everyKey(jwtKeys).map(({ id }) => id))
  return {
    roots: besides.roots.filter((der) => !isOurs(der)),
    intermediates: besides.intermediates.filter((der) => !isOurs(der)),
    jwtKeys: besides.jwtKeys.filter(({ kid }) => !kids.has(kid)),
  }
}

/** The same for the same authorities, whatever their order; '' for none. If it changes, the bundle's number must rise. */
export const digestOfBesides = ({ roots, intermediates, jwtKeys }: Besides): string => {
  const parts = [
    ...roots.map((der) => `root ${der.toString('base64')}`),
    ...intermediates.map((der) => `intermediate ${der.toString('base64')}`),
    ...jwtKeys.map((key) => `key ${JSON.stringify(key)}`),
  ]
  return parts.length === 0
    ? ''
    : createHash('sha256').update(parts.toSorted().join('\n')).digest('hex')
}

export const publicJwkOf = (certificate: Buffer): object =>
  new X509Certificate(certificate).publicKey.export({ format: 'jwk' })

const derOf = (pem: string): readonly Buffer[] => {
  const certificates = certificatesOf(pem)
  if (!certificates.ok) throw new TypeError(certificates.fault)
  return certificates.value
}
