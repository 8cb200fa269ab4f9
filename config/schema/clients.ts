import { Type, type Static } from 'typebox'
import { signatureAlgorithms } from './issuers.ts'
import { File, Id, Named, SpiffeIdText, Strict } from './words.ts'

export const SecretHash = Type.String({
  pattern: '^(sha256:[0-9a-f]{64}|scrypt:1[45]:[A-Za-z0-9_-]{22,86}:[A-Za-z0-9_-]{43})$',
  expects:
    '`sha256:` with 64 hex digits, or `scrypt:LOG2N:SALT:HASH` with LOG2N 14 or 15, and salt (16 bytes or more) and hash (32 bytes; r 8, p 1) in base64url',
  description:
    'Hash of a secret: `sha256:HEX` of one that is 32 random bytes or more, `scrypt:LOG2N:SALT:HASH` of any other.',
})

const Authentication = Type.Union(
  [
    Strict({
      method: Type.Literal('tls_client_auth', {
        description: 'X.509-SVID of the mesh, or of a trust domain in `federation`; RFC 8705.',
      }),
      spiffeId: SpiffeIdText('Who its certificate must be for.'),
    }),
    Strict({
      method: Type.Literal('private_key_jwt', { description: 'A signed assertion, RFC 7523.' }),
      jwksFile: File('JWK Set with its public keys, each with a `kid`.', { holds: 'json' }),
      algorithms: Type.Array(Type.Enum([...signatureAlgorithms]), {
        minItems: 1,
        uniqueItems: true,
        default: ['ES256'],
        description: 'Signature algorithms that are accepted.',
      }),
    }),
    Strict({
      method: Type.Literal('client_secret', {
        description: 'Basic (`client_secret_basic`) or in the form (`client_secret_post`).',
      }),
      secretHashes: Type.Array(SecretHash, {
        minItems: 1,
        maxItems: 4,
        description: 'Any of these fits, so that a secret can be changed without a gap.',
      }),
    }),
  ],
  { description: 'How it proves who it is.' },
)

/** Who may ask at the token endpoint besides gateways and the bearers of platform tokens. */
export const Client = Strict({
  authentication: Authentication,
  receives: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description:
      'Audiences by which it is meant besides its SPIFFE ID: it may exchange tokens of ours that were minted for these.',
  }),
  bound: Type.Enum(['no', 'certificate', 'dpop'], {
    default: 'no',
    description:
      '`certificate` binds its access tokens to its client certificate, `dpop` refuses to mint one without a DPoP proof.',
  }),
})
export type Client = Static<typeof Client>

export const Clients = Named(Client, {
  default: {},
  description: 'Other clients of the token endpoint, by their `client_id`.',
})
export type Clients = Static<typeof Clients>

const SpiffeIdPattern = (description: string) =>
  Type.String({ format: 'spiffe-id-pattern', maxLength: 1024, description })

export const grantTokens = ['jwt-svid', 'access-token', 'txn-token', 'x509-svid'] as const

/** Who may have which identity for whom. */
export const Grant = Strict({
  name: Id('Name of the grant, for records and the policy. The policy sees it as the route.'),
  subjects: Type.Array(
    SpiffeIdPattern('A SPIFFE ID; `*` is any one segment, a last `**` any number of them.'),
    { minItems: 1, description: 'Whose identity may be had.' },
  ),
  to: Type.Array(Type.String({ minLength: 1 }), {
    minItems: 1,
    default: ['self'],
    description:
      'Who may ask: names of `clients`, and `self` for whoever asks for itself, by the token of its own platform or by a legacy credential.',
  }),
  tokens: Type.Array(Type.Enum([...grantTokens]), {
    minItems: 1,
    uniqueItems: true,
    default: ['jwt-svid'],
    description: 'What may be had.',
  }),
  audiences: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description:
      'For whom tokens may be: exact, or patterns of SPIFFE IDs as in `subjects`. A certificate has none.',
  }),
  scopes: Type.Array(
    Type.String({ pattern: '^[!#-\\[\\]-~]{1,200}$', expects: 'one scope without spaces' }),
    {
      default: [],
      description:
        'Scopes that may be asked for. Never more than the subject token has, if it has any.',
    },
  ),
  actors: Type.Array(SpiffeIdPattern('A SPIFFE ID or a pattern of them.'), {
    default: [],
    description:
      'Who may act for these subjects by an `actor_token`, besides whom `may_act` names.',
  }),
  policy: Strict(
    {
      requires: Type.Record(Type.String(), Type.Unknown(), {
        default: {},
        description: 'For the policy to read as `input.route.requires`.',
      }),
    },
    { default: {}, description: 'What the policy is told of this grant.' },
  ),
})
export type Grant = Static<typeof Grant>

export const SelfService = Strict(
  {
    issuers: Type.Array(Type.String(), {
      default: [],
      description:
        'Issuers whose tokens are enough: their bearers need no other credential. `grants` say what for.',
    }),
    oneTimeIssuers: Type.Array(Type.String(), {
      default: [],
      description: 'Of these each token can be used once for that.',
    }),
  },
  { default: {}, description: 'Functions and jobs that ask for themselves with a platform token.' },
)
export type SelfService = Static<typeof SelfService>
