import { X509Certificate } from 'node:crypto'
import type { TrustDomain } from '#contract/spiffe-id'
import type { JsonObject } from '../json-strict.ts'
import { acceptJwk, readJwkSet, type VerificationKey } from '../jwt/jwks.ts'
import type { SignatureAlgorithm } from '../jwt/signature-algorithm.ts'
import { bad, good, type Outcome } from '../outcome.ts'
import { readSvidAuthority } from './certificate.ts'

/** The keys of one trust domain. Bundles of two domains are never merged: each may then speak for the other. */
export type Bundle = {
  readonly trustDomain: TrustDomain
  /** PEM roots for X.509-SVIDs; '' if it has none. */
  readonly x509Roots: string
  /** For JWT-SVIDs, by `kid`. */
  readonly jwtKeys: ReadonlyMap<string, VerificationKey>
  readonly sequence: number | undefined
  readonly refreshHintSeconds: number | undefined
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
  const roots: string[] = []
  const jwtKeys = new Map<string, VerificationKey>()
  const ignored: string[] = []
  for (const jwk of set.value.keys) {
    if (jwk.use === 'x509-svid') {
      const root = readRoot(jwk, trustDomain)
      if (root.ok) roots.push(root.value)
      else ignored.push(`an X.509 root: ${root.fault}`)
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
    x509Roots: roots.join(''),
    jwtKeys,
    sequence: isCount(sequence) ? sequence : undefined,
    refreshHintSeconds: isCount(refreshHint) ? refreshHint : undefined,
    ignored,
  })
}

/** One certificate a key, and no `kid`, which belongs to JWT keys. */
const readRoot = ({ x5c, kid }: JsonObject, trustDomain: TrustDomain): Outcome<string> => {
  if (kid !== undefined) return bad('it has a kid')
  if (!Array.isArray(x5c) || x5c.length !== 1) return bad('its x5c is not one certificate')
  const [text] = x5c as readonly unknown[]
  const der = typeof text === 'string' ? Buffer.from(text, 'base64') : undefined
  if (!der || der.toString('base64') !== text) return bad('its x5c is not base64')
  const authority = readSvidAuthority(der, trustDomain)
  return authority.ok ? good(new X509Certificate(der).toString()) : authority
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0
