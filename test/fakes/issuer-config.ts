import type { Issuer } from '#config/schema'

export const issuerUrl = 'https://idp.example.com'
export const audience = 'https://api.example.com'

/** An issuer as the configuration gives it, with its defaults. */
export const issuerConfig = (changed: Partial<Issuer> = {}): Issuer => ({
  issuer: issuerUrl,
  platform: 'oidc',
  audiences: [audience],
  algorithms: ['ES256', 'RS256'],
  types: ['JWT', 'at+jwt'],
  skewSeconds: 30,
  maxLifetimeSeconds: 86_400,
  minRemainingSeconds: 5,
  requiredClaims: ['sub'],
  policyClaims: [],
  kind: 'external',
  refreshSeconds: 300,
  maxStaleSeconds: 3600,
  ...changed,
})
