import type { Issuer } from '#config/schema'
import { aws } from './aws.ts'
import { azure } from './azure.ts'
import { gcp } from './gcp.ts'
import { github } from './github.ts'
import { gitlab } from './gitlab.ts'
import { kubernetes } from './kubernetes.ts'
import { oidc } from './oidc.ts'
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
} as const satisfies Record<Issuer['platform'], PlatformProfile>
