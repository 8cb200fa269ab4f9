import type { EgressCredential } from '#config/schema'
import type { Credential } from './credential.ts'
import { awsSigV4 } from './aws-sigv4.ts'
import { clientCredentials, tokenExchange, type FetchedParts } from './fetched.ts'
import { fixedCredential } from './fixed.ts'

/**
 * Makes of the configured credentials what requests get.
 *
 * @throws TypeError naming the one whose secret cannot be used.
 */
export const openCredentials = (
  configured: Readonly<Record<string, EgressCredential>>,
  parts: FetchedParts,
): ReadonlyMap<string, Credential> =>
  new Map(
    Object.entries(configured).map(([id, config]) => [
      id,
      { kind: config.kind, scanBytes: config.scanBytes, attach: attachOf(id, config, parts) },
    ]),
  )

const attachOf = (id: string, config: EgressCredential, parts: FetchedParts) => {
  switch (config.kind) {
    case 'bearer':
    case 'header':
    case 'basic':
      return fixedCredential(id, config)
    case 'client-credentials':
      return clientCredentials(id, config, parts)
    case 'token-exchange':
      return tokenExchange(id, config, parts)
    case 'aws-sigv4':
      return awsSigV4(id, config)
    default:
      return config satisfies never
  }
}
