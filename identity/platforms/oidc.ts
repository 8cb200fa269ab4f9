import { fitsProfile, type PlatformProfile } from './profile.ts'

/** Any OpenID provider: nothing is known of its tokens but what the issuer's `requiredClaims` say. */
export const oidc: PlatformProfile = () => fitsProfile
