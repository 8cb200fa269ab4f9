import { tokenExchangeGrant } from '#contract/token-exchange'

/** Where everything is, from the issuer that the configuration names. */
export type Locations = {
  readonly issuer: string
  /** Path of the issuer without a slash at its end: '' for most. */
  readonly prefix: string
  readonly tokenEndpoint: string
  readonly jwksUri: string
}

export const locationsOf = (issuer: string): Locations => {
  const { origin, pathname } = new URL(issuer)
  const prefix = pathname.replace(/\/+$/, '')
  return {
    issuer,
    prefix,
    tokenEndpoint: `${origin}${prefix}/token`,
    jwksUri: `${origin}${prefix}/keys`,
  }
}

/**
 * What this server offers today, and nothing else.
 *
 * `response_types_supported` must be there (RFC 8414 §2) though nothing is authorised here, so its list is empty.
 */
export const authorizationServerMetadata = (locations: Locations) => ({
  issuer: locations.issuer,
  token_endpoint: locations.tokenEndpoint,
  jwks_uri: locations.jwksUri,
  response_types_supported: [],
  grant_types_supported: [tokenExchangeGrant],
  // By an X.509-SVID of the mesh, RFC 8705 §2.1.
  token_endpoint_auth_methods_supported: ['tls_client_auth'],
})

/**
 * For those who check our JWT-SVIDs as if they were ID tokens: clouds, Kubernetes. Relying parties insist on the members
 * that OpenID Connect Discovery §3 requires, so they are here, as in the documents of SPIRE and Kubernetes.
 */
export const openIdConfiguration = (locations: Locations) => ({
  ...authorizationServerMetadata(locations),
  response_types_supported: ['id_token'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
})
