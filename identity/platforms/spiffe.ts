import { parseSpiffeId, spiffePathOf, trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import { bad } from '../outcome.ts'
import type { JsonObject } from '../json-strict.ts'
import { fitsProfile, textClaim, type PlatformProfile } from './profile.ts'

/** JWT-SVID §2.3; undefined for a token without. */
export const jwtSvidTypes: readonly (string | undefined)[] = [undefined, 'JWT', 'JOSE']

/** How the configuration names a trust domain as an issuer. */
export const issuerOfTrustDomain = (trustDomain: TrustDomain): string => `spiffe://${trustDomain}`

/**
 * The trust domain of whom a token is about, as an issuer: whose bundle has to verify it is decided by that alone, and not
 * by its `iss`, which JWT-SVIDs need not have. Undefined where `sub` is no SPIFFE ID.
 *
 * @see JWT-SVID §5
 */
export const issuerOfSubject = ({ sub }: JsonObject): string | undefined => {
  const id = typeof sub === 'string' ? parseSpiffeId(sub) : undefined
  return id?.ok ? issuerOfTrustDomain(trustDomainOf(id.value)) : undefined
}

/** A JWT-SVID of another trust domain: it is about a workload of that one, not about the trust domain as such. */
export const spiffe: PlatformProfile = (claims, issuer) => {
  const id = parseSpiffeId(textClaim(claims, 'sub') ?? '')
  if (!id.ok) return bad('its sub is no SPIFFE ID')
  if (issuerOfTrustDomain(trustDomainOf(id.value)) !== issuer)
    return bad('its sub is of another trust domain')
  return spiffePathOf(id.value) === '' ? bad('its sub names no workload') : fitsProfile
}
