import { tokenExchangeGrant } from '#contract/token-exchange'
import { dpopAlgorithms } from '#identity/jwt/dpop'

/** Where everything is, from the issuer that the configuration names. */
export type Locations = {
  readonly issuer: string
  /** Path of the issuer without a slash at its end: '' for most. */
  readonly prefix: string
  readonly tokenEndpoint: string
  readonly introspectionEndpoint: string
  readonly revocationEndpoint: string
  readonly jwksUri: string
}

export const locationsOf = (issuer: string): Locations => {
  const { origin, pathname } = new URL(issuer)
  const prefix = pathname.replace(/\/+$/, '')
  const at = (path: string) => `${origin}${prefix}${path}`
  return {
    issuer,
    prefix,
    tokenEndpoint: at('/token'),
    introspectionEndpoint: at('/introspect'),
    revocationEndpoint: at('/revoke'),
    jwksUri: at('/keys'),
  }
}

/** What is switched on. */
export type Offered = {
  readonly clientMethods: ReadonlySet<'tls_client_auth' | 'private_key_jwt' | 'client_secret'>
  /** Algorithms of client assertions. */
  readonly assertionAlgorithms: readonly string[]
  /** Whether a platform's token is enough for some. */
  readonly selfService: boolean
  /** Whether callers without any token may ask. */
  readonly legacy: boolean
  readonly scopes: readonly string[]
}

/**
 * What this server offers today, and nothing else.
 *
 * `response_types_supported` must be there (RFC 8414 §2) though nothing is authorised here, so its list is empty; other
 * lists that would be empty are left out. Gateways always come with a certificate, so `tls_client_auth` is always there.
 */
export const authorizationServerMetadata = (locations: Locations, offered: Offered) => {
  const methods = methodsOf(offered)
  const algorithms = offered.clientMethods.has('private_key_jwt')
    ? offered.assertionAlgorithms
    : undefined
  const { scopes } = offered
  return {
    issuer: locations.issuer,
    token_endpoint: locations.tokenEndpoint,
    jwks_uri: locations.jwksUri,
    response_types_supported: [],
    grant_types_supported: [tokenExchangeGrant, ...(offered.legacy ? ['client_credentials'] : [])],
    token_endpoint_auth_methods_supported: [...methods, ...(offered.selfService ? ['none'] : [])],
    ...signingAlgorithms('token', algorithms),
    introspection_endpoint: locations.introspectionEndpoint,
    introspection_endpoint_auth_methods_supported: methods,
    ...signingAlgorithms('introspection', algorithms),
    revocation_endpoint: locations.revocationEndpoint,
    revocation_endpoint_auth_methods_supported: methods,
    ...signingAlgorithms('revocation', algorithms),
    ...(scopes.length === 0 ? {} : { scopes_supported: scopes }),
    tls_client_certificate_bound_access_tokens: true,
    dpop_signing_alg_values_supported: dpopAlgorithms,
  }
}

const methodsOf = ({ clientMethods }: Offered): readonly string[] => [
  'tls_client_auth',
  ...(clientMethods.has('private_key_jwt') ? ['private_key_jwt'] : []),
  ...(clientMethods.has('client_secret') ? ['client_secret_basic', 'client_secret_post'] : []),
]

const signingAlgorithms = (
  endpoint: 'token' | 'introspection' | 'revocation',
  algorithms: readonly string[] | undefined,
) =>
  algorithms === undefined
    ? {}
    : { [`${endpoint}_endpoint_auth_signing_alg_values_supported`]: algorithms }

/**
 * For those who check our JWT-SVIDs as if they were ID tokens: clouds, Kubernetes. Relying parties insist on the members
 * that OpenID Connect Discovery §3 requires, so they are here, as in the documents of SPIRE and Kubernetes.
 */
export const openIdConfiguration = (locations: Locations, offered: Offered) => ({
  ...authorizationServerMetadata(locations, offered),
  response_types_supported: ['id_token'],
  subject_types_supported: ['public'],
  id_token_signing_alg_values_supported: ['ES256'],
})
