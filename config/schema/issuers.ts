import { Type, type Static } from 'typebox'
import { Introspection } from './introspection.ts'
import { File, Named, Strict } from './words.ts'

export const signatureAlgorithms = [
  'ES256',
  'ES384',
  'ES512',
  'PS256',
  'PS384',
  'PS512',
  'RS256',
  'RS384',
  'RS512',
  'EdDSA',
] as const

/** Whose tokens have a known shape, which is then insisted on; `oidc` is any other. */
export const platforms = [
  'oidc',
  'kubernetes',
  'github',
  'gitlab',
  'aws',
  'gcp',
  'azure',
  'azure-attestation',
  'spiffe',
] as const

/** An issuer of tokens that callers bring from outside. */
export const Issuer = Strict({
  issuer: Type.String({
    minLength: 1,
    maxLength: 512,
    description:
      'The `iss` of its tokens, compared code point by code point. With `platform: spiffe` the trust domain, `spiffe://NAME`.',
  }),
  platform: Type.Enum([...platforms], {
    default: 'oidc',
    description:
      'Whose tokens these are. Claims that the platform always states must be there and fit together; `oidc` asks for none. `spiffe` is another trust domain of `federation`: its JWT-SVIDs are checked by its bundle alone.',
  }),
  audiences: Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    description: 'A token must name at least one of these in `aud`.',
  }),
  algorithms: Type.Array(Type.Enum([...signatureAlgorithms]), {
    minItems: 1,
    uniqueItems: true,
    default: ['ES256', 'RS256'],
    description: 'Signature algorithms that are accepted. A key works with one of them only.',
  }),
  jwksUrl: Type.Optional(
    Type.String({
      format: 'url',
      description:
        'Where its keys are. Without this and `jwksFile` they are found by OpenID discovery.',
    }),
  ),
  jwksFile: Type.Optional(File('A JWK Set on disk instead of a URL.', { holds: 'json' })),
  caFile: Type.Optional(
    File('PEM certificates to trust when asking it, instead of the public ones.', {
      holds: 'certificates',
    }),
  ),
  introspection: Type.Optional(Introspection),
  jwksTokenFile: Type.Optional(
    File(
      'Holds a bearer token to fetch its keys with, and the document that names them; read anew each time. For API servers of Kubernetes that let nobody read them without. It goes to the host of `issuer` or `jwksUrl` alone.',
    ),
  ),
  types: Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    default: ['JWT', 'at+jwt'],
    description:
      'Accepted `typ` of the header, compared exactly; `none` stands for a token without one.',
  }),
  skewSeconds: Type.Integer({
    minimum: 0,
    maximum: 120,
    default: 30,
    description: 'How far its clock and ours may differ.',
  }),
  maxLifetimeSeconds: Type.Integer({
    minimum: 60,
    maximum: 31_536_000,
    default: 86_400,
    description: 'Tokens that live longer (`exp` - `iat`) are refused.',
  }),
  minRemainingSeconds: Type.Integer({
    minimum: 0,
    maximum: 3600,
    default: 5,
    description: 'Tokens with less life left than this are refused with a reason of their own.',
  }),
  requiredClaims: Type.Array(Type.String({ minLength: 1 }), {
    default: ['sub'],
    description: 'Claims that must be there besides `iss`, `aud` and `exp`.',
  }),
  policyClaims: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description: 'Claims that the policy may see.',
  }),
  kind: Type.Enum(['external', 'serverless', 'legacy', 'mesh'], {
    default: 'external',
    description: 'What kind of caller it speaks for; the policy sees it.',
  }),
  refreshSeconds: Type.Integer({
    minimum: 10,
    maximum: 86_400,
    default: 300,
    description: 'How often its keys are fetched again, in the background.',
  }),
  maxStaleSeconds: Type.Integer({
    minimum: 60,
    maximum: 604_800,
    default: 3600,
    description:
      'How long keys go on being used while it cannot be reached; then its callers get 503.',
  }),
})
export type Issuer = Static<typeof Issuer>

export const Issuers = Named(Issuer, {
  description: 'Issuers by a name of your own, which routes, identities, metrics and records use.',
})
export type Issuers = Static<typeof Issuers>
