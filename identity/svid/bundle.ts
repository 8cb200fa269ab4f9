import { X509Certificate } from 'node:crypto'
import { trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import type { JsonObject } from '../json-strict.ts'
import { acceptJwk, readJwkSet, type VerificationKey } from '../jwt/jwks.ts'
import type { SignatureAlgorithm } from '../jwt/signature-algorithm.ts'
import { bad, good, type Outcome } from '../outcome.ts'
import { certificatesOf } from './pem.ts'
import { authorityId, readSvidAuthority } from './certificate.ts'
import { isIssuedBy, type Authorities } from './chain.ts'

/** The keys of one trust domain. Bundles of two domains are never merged: each may then speak for the other. */
export type Bundle = {
  readonly trustDomain: TrustDomain
  /** PEM roots for X.509-SVIDs; '' if it has none. */
  readonly x509Roots: string
  /** The same roots, and intermediates that it tells of. */
  readonly authorities: Authorities
  /** For JWT-SVIDs, by `kid`. */
  readonly jwtKeys: ReadonlyMap<string, VerificationKey>
  readonly sequence: number | undefined
  readonly refreshHintSeconds: number | undefined
  /** So many of its roots say that they are of another trust domain: whoever published it took one for the other. */
  readonly foreignRoots: number
  /** Why keys were left out. */
  readonly ignored: readonly string[]
}

/** JWT-SVID §2.1: no EdDSA. */
const jwtSvidAlgorithms: readonly SignatureAlgorithm[] = [
  'ES256',
  'ES384',
  'ES512',
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
]

/**
 * Reads the SPIFFE bundle of one trust domain.
 *
 * A key of an unknown use is passed over, one that breaks a rule is left out. A bundle without any usable key is refused,
 * as is one with two JWT keys of one `kid`.
 *
 * @see SPIFFE Trust Domain and Bundle §4, X509-SVID §6, JWT-SVID §6
 */
export const acceptBundle = async (
  bytes: Uint8Array,
  trustDomain: TrustDomain,
): Promise<Outcome<Bundle>> => {
  const set = readJwkSet(bytes)
  if (!set.ok) return set
  const roots: X509Certificate[] = []
  let foreignRoots = 0
  const jwtKeys = new Map<string, VerificationKey>()
  const ignored: string[] = []
  for (const jwk of set.value.keys) {
    if (jwk.use === 'x509-svid') {
      const root = readRoot(jwk, trustDomain)
      if (root.ok) roots.push(root.value)
      else ignored.push(`an X.509 root: ${root.fault}`)
      foreignRoots += isForeign(jwk, trustDomain) ? 1 : 0
    } else if (jwk.use === 'jwt-svid') {
      const key = await acceptJwk(jwk, jwtSvidAlgorithms)
      if (!key.ok) ignored.push(key.fault)
      else if (jwtKeys.has(key.value.kid)) return bad('the bundle has two JWT keys of one kid')
      else jwtKeys.set(key.value.kid, key.value)
    }
  }
  if (roots.length === 0 && jwtKeys.size === 0)
    return bad(`the bundle has no usable key${ignored.map((why) => `; ${why}`).join('')}`)
  const { spiffe_sequence: sequence, spiffe_refresh_hint: refreshHint } = set.value
  return good({
    trustDomain,
    x509Roots: roots.map(String).join(''),
    authorities: { roots, intermediates: intermediatesIn(set.value, roots, trustDomain) },
    foreignRoots,
    jwtKeys,
    sequence: isCount(sequence) ? sequence : undefined,
    refreshHintSeconds: isCount(refreshHint) ? refreshHint : undefined,
    ignored,
  })
}

/** One certificate a key, and no `kid`, which belongs to JWT keys. */
const readRoot = ({ x5c, kid }: JsonObject, trustDomain: TrustDomain): Outcome<X509Certificate> => {
  if (kid !== undefined) return bad('it has a kid')
  if (!Array.isArray(x5c) || x5c.length !== 1) return bad('its x5c is not one certificate')
  const der = derOf(x5c[0])
  if (!der) return bad('its x5c is not base64')
  const authority = readSvidAuthority(der, trustDomain)
  return authority.ok ? good(new X509Certificate(der)) : authority
}

const isForeign = ({ x5c }: JsonObject, trustDomain: TrustDomain): boolean => {
  const der = Array.isArray(x5c) ? derOf(x5c[0]) : undefined
  const id = der && authorityId(der)
  return id !== undefined && trustDomainOf(id) !== trustDomain
}

const derOf = (text: unknown): Buffer | undefined => {
  const der = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined
  return der?.toString('base64') === text ? der : undefined
}

/**
 * A member of ours, which others pass over (RFC 7517 §5): Node shows a server nothing of a client's chain but its leaf, so
 * its intermediates have to be known. Only what a root of the same bundle signed is one.
 */
export const intermediatesMember = 'sallyport_x509_intermediates'
const maxIntermediates = 20

const intermediatesIn = (
  document: JsonObject,
  roots: readonly X509Certificate[],
  trustDomain: TrustDomain,
): readonly X509Certificate[] => {
  const texts: unknown = document[intermediatesMember]
  if (!Array.isArray(texts)) return []
  return texts.slice(0, maxIntermediates).flatMap((text: unknown) => {
    const der = derOf(text)
    if (!der || !readSvidAuthority(der, trustDomain).ok) return []
    const certificate = new X509Certificate(der)
    return roots.some((root) => isIssuedBy(certificate, root)) ? [certificate] : []
  })
}

const usesOfAgents: readonly unknown[] = [undefined, 'sig', 'jwt-svid']

/**
 * Makes a bundle of what an agent gives apart: PEM roots, and a JWK Set, whose keys need not say what they are for.
 *
 * @param jwks Undefined as long as the agent has not said.
 */
export const bundleOfParts = async (
  trustDomain: TrustDomain,
  rootsPem: string,
  jwks: Uint8Array | undefined,
): Promise<Outcome<Bundle>> => {
  const roots: X509Certificate[] = []
  const certificates = certificatesOf(rootsPem)
  if (!certificates.ok) return certificates
  for (const der of certificates.value) {
    const authority = readSvidAuthority(der, trustDomain)
    if (!authority.ok) return bad(`an X.509 root: ${authority.fault}`)
    roots.push(new X509Certificate(der))
  }
  const set = jwks && readJwkSet(jwks)
  if (set?.ok === false) return set
  const jwtKeys = new Map<string, VerificationKey>()
  const ignored: string[] = []
  for (const jwk of set?.value.keys ?? []) {
    if (!usesOfAgents.includes(jwk.use)) continue
    const key = await acceptJwk(jwk, jwtSvidAlgorithms)
    if (!key.ok) ignored.push(key.fault)
    else if (jwtKeys.has(key.value.kid)) return bad('the bundle has two JWT keys of one kid')
    else jwtKeys.set(key.value.kid, key.value)
  }
  return good({
    trustDomain,
    x509Roots: roots.map(String).join(''),
    authorities: { roots, intermediates: [] },
    foreignRoots: 0,
    jwtKeys,
    sequence: undefined,
    refreshHintSeconds: undefined,
    ignored,
  })
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0
