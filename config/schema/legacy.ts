import { Type, type Static } from 'typebox'
import { legacyMethods } from '#contract/legacy'
import { secretFileSchema, type Secret } from '#contract/secret'
import { SecretHash } from './clients.ts'
import { File, Named, SpiffeIdText, Strict } from './words.ts'

const hashes = (description: string) =>
  Type.Array(SecretHash, { minItems: 1, maxItems: 4, description })

const Credential = Type.Union(
  [
    Strict({
      method: Type.Literal('api_key', { description: 'A key in the header `X-API-Key`.' }),
      keyHashes: Type.Array(
        Type.String({
          pattern: '^sha256:[0-9a-f]{64}$',
          expects: '`sha256:` with 64 hex digits',
          description: 'Hash of a key of 32 random bytes or more.',
        }),
        {
          minItems: 1,
          maxItems: 4,
          uniqueItems: true,
          description: 'Any of these fits, so that a key can be changed without a gap.',
        },
      ),
    }),
    Strict({
      method: Type.Literal('basic', {
        description: 'Its name here and a password in a Basic `Authorization`.',
      }),
      passwordHashes: hashes('Any of these fits, so that a password can be changed without a gap.'),
    }),
    Strict({
      method: Type.Literal('signed_request', {
        description: 'A signature over the request, RFC 9421, with its name here as `keyid`.',
      }),
      jwksFile: Type.Optional(
        File('JWK Set with its one public key, for ES256 or EdDSA.', { holds: 'json' }),
      ),
      secret: Type.Optional(
        Type.Unsafe<Secret<string>>(
          secretFileSchema('Instead of that a shared secret of 32 bytes or more, for HMAC-SHA256.'),
        ),
      ),
    }),
    Strict({
      method: Type.Literal('client_certificate', {
        description: 'A certificate of a CA that is trusted for this caller alone.',
      }),
      caFile: File('CAs that issue its certificates themselves.', { holds: 'certificates' }),
      dnsNames: Type.Array(Type.String({ format: 'host' }), {
        minItems: 1,
        description: 'Names, one of which its certificate must have.',
      }),
      crlFile: Type.Optional(
        File(
          'What the CA has revoked, PEM or DER; read anew when it changes. While it is out of date, nobody gets in.',
        ),
      ),
    }),
  ],
  { description: 'How it proves who it is.' },
)

/** A caller that knows nothing of tokens. */
export const LegacyCaller = Strict({
  spiffeId: SpiffeIdText('Who it is here; one segment of the path must be `legacy`.'),
  credential: Credential,
})
export type LegacyCaller = Static<typeof LegacyCaller>

export const Legacy = Strict(
  {
    callers: Named(LegacyCaller, {
      default: {},
      description: 'By a name of your own, which is their user name or key id.',
    }),
    atGateways: Type.Array(Type.Enum([...legacyMethods]), {
      uniqueItems: true,
      default: [],
      description:
        'By which of these a gateway may ask for such a caller, on routes with `authenticate: { legacy: … }`. Of a certificate the gateway alone has seen that the caller holds its key.',
    }),
    failures: Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 10,
      description:
        'How many wrong passwords may come for one caller in a window. Then not even the right one is taken until the window ends.',
    }),
    windowSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 60,
      description: 'Length of a window.',
    }),
  },
  {
    default: {},
    description:
      'Callers that have an API key, a password, a signing key or a certificate of another CA. They get short-lived tokens by `grant_type=client_credentials`, marked as such; `grants` to `self` say for whom.',
  },
)
export type Legacy = Static<typeof Legacy>
