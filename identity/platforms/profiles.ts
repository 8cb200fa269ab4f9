import type { Issuer } from '#config/schema'
import { aws } from './aws.ts'
import { azure } from './azure.ts'
import { attestedClaims, azureAttestation } from './azure-attestation.ts'
import { gcp } from './gcp.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { kubernetes } from './kubernetes.ts'
import { oidc } from './oidc.ts'
import { jwtSvidTypes, spiffe } from './spiffe.ts'
import type { JsonObject } from '../json-strict.ts'
import type { PlatformProfile } from './profile.ts'

/** Every platform whose tokens are known, by the word that an issuer's `platform` says. */
export const platformProfiles = {
  oidc,
  kubernetes,
  github,
  gitlab,
  aws,
  gcp,
  azure,
  'azure-attestation': azureAttestation,
  spiffe,
} as const satisfies Record<Issuer['platform'], PlatformProfile>

/** How the tokens of a platform differ from everybody's. */
export type PlatformForm = {
  /** Gives the claims those of the standard ones that the platform says in words of its own. */
  readonly claims?: (claims: JsonObject) => JsonObject
  /** The one `jku` that their header may have. It is compared and never fetched. */
  readonly keyAddress?: (issuer: string) => string
  /** Whether the platform publishes keys as certificates alone. */
  readonly keysAreCertificates?: boolean
  /** The `typ` that their header may have, whatever the configuration says. */
  readonly types?: readonly (string | undefined)[]
  /** Whether nothing but `alg`, `kid` and `typ` may stand in their header. */
  readonly isHeaderPlain?: boolean
}

export const platformForms: Partial<Record<Issuer['platform'], PlatformForm>> = {
  'azure-attestation': {
    claims: attestedClaims,
    keyAddress: (issuer) => `${issuer.replace(/\/$/, '')}/certs`,
    keysAreCertificates: true,
  },
  spiffe: { types: jwtSvidTypes, isHeaderPlain: true },
}
