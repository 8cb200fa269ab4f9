import { Type, type Static } from 'typebox'
import { secretFileSchema, type Secret } from '#contract/secret'
import { File, Strict } from './words.ts'

const ClientId = Type.String({
  minLength: 1,
  maxLength: 256,
  description: 'Our `client_id` there.',
})

const Authentication = Type.Union(
  [
    Strict({
      method: Type.Literal('client_secret_basic', { description: 'A password, RFC 6749 §2.3.1.' }),
      clientId: ClientId,
      secret: Type.Unsafe<Secret<string>>(secretFileSchema('Our client secret there.')),
    }),
    Strict({
      method: Type.Literal('private_key_jwt', { description: 'A signed assertion, RFC 7523.' }),
      clientId: ClientId,
      keyFile: File('Our private key, P-256: assertions are signed with ES256.', {
        holds: 'private-key',
      }),
      keyId: Type.Optional(
        Type.String({ minLength: 1, maxLength: 256, description: 'Its `kid`, if it has one.' }),
      ),
    }),
    Strict({
      method: Type.Literal('tls_client_auth', {
        description: 'A client certificate, RFC 8705, self-signed or of a CA.',
      }),
      clientId: ClientId,
      certificateFile: File('Our certificate, leaf first.', { holds: 'certificates' }),
      keyFile: File('Its private key.', { holds: 'private-key' }),
    }),
  ],
  { description: 'How we prove who we are.' },
)

export const omissible = ['aud', 'token_type'] as const

/** How tokens are checked that only their issuer can read. */
export const Introspection = Strict(
  {
    endpoint: Type.String({ format: 'url', description: 'Its introspection endpoint.' }),
    authentication: Authentication,
    subject: Type.Enum(['sub', 'client_id'], {
      default: 'sub',
      description:
        'What its tokens speak for. `client_id` where they are given to clients and have no `sub` of their own; one with another `sub` is then refused.',
    }),
    mayOmit: Type.Array(Type.Enum([...omissible]), {
      uniqueItems: true,
      default: [],
      description:
        'What its answers may leave out. Without `aud` its word must be enough that a token is for us; without `token_type` a refresh token may pass for an access token.',
    }),
    maxCacheSeconds: Type.Integer({
      minimum: 0,
      maximum: 3600,
      default: 30,
      description:
        'How long it is taken at its word, never beyond `exp`: so long a revoked token may still pass. 0 asks each time.',
    }),
    negativeCacheSeconds: Type.Integer({
      minimum: 0,
      maximum: 60,
      default: 5,
      description: 'The same for a token that is not good.',
    }),
    maxCached: Type.Integer({
      minimum: 100,
      maximum: 1_000_000,
      default: 10_000,
      description: 'Answers that are remembered, and as many again of tokens that are not good.',
    }),
    maxInFlight: Type.Integer({
      minimum: 1,
      maximum: 10_000,
      default: 128,
      description: 'Questions under way. Who comes then with an unknown token gets 503.',
    }),
    timeoutMs: Type.Integer({
      minimum: 50,
      maximum: 30_000,
      default: 1500,
      description: 'For one question. Less than a gateway waits for the exchange, which asks, too.',
    }),
  },
  {
    description:
      'Asks the issuer about each of its tokens (RFC 7662): for opaque tokens, and for JWTs that may be revoked. Its keys are then not used.',
  },
)
export type Introspection = Static<typeof Introspection>
