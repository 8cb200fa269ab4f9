import { Type, type Static } from 'typebox'
import { secretFileSchema, type Secret } from '#contract/secret'
import { Id, Named, Strict } from './words.ts'

const SecretText = (description: string) =>
  Type.Unsafe<Secret<string>>(secretFileSchema(description))

const scanBytes = Type.Integer({
  minimum: 0,
  maximum: 16_777_216,
  default: 65_536,
  description:
    'Bytes at the beginning of an answer in which the credential is looked for; its headers always are. 0: not in its body.',
})

/** Framing, routing and what we set ourselves are nobody's to set. */
const ownHeaders =
  'host|connection|content-length|transfer-encoding|upgrade|te|trailer|expect|via|keep-alive|proxy-.*|accept-encoding|x-sallyport-.*'

const TokenEndpoint = {
  tokenUrl: Type.String({
    format: 'https-url',
    description: 'Token endpoint. Reached as destinations are: resolved once, judged, verified.',
  }),
  clientId: Type.String({ minLength: 1, maxLength: 512, description: 'Who asks there.' }),
  clientSecret: SecretText('What proves it.'),
  clientAuthentication: Type.Enum(['basic', 'post'], {
    default: 'basic',
    description: '`basic`: in the Authorization header; `post`: in the form (RFC 6749 §2.3.1).',
  }),
  scopes: Type.Array(
    Type.String({ pattern: '^[\\x21\\x23-\\x5B\\x5D-\\x7E]+$', expects: 'a scope' }),
    {
      default: [],
      description: 'Scopes that are asked for.',
    },
  ),
  audience: Type.Optional(
    Type.String({ minLength: 1, description: 'Audience that is asked for, where it wants one.' }),
  ),
  resource: Type.Optional(
    Type.String({ minLength: 1, description: 'Resource that is asked for (RFC 8707).' }),
  ),
  opens: Type.Array(Type.String({ format: 'cidr' }), {
    default: [],
    description: 'Networks closed to all others that the token endpoint may be in.',
  }),
}

const { clientId, clientSecret, ...TokenEndpointOfNobody } = TokenEndpoint

/** What a request gets on its way out, that its workload never sees. */
export const EgressCredential = Type.Union([
  Strict({
    kind: Type.Literal('bearer', { description: 'A token of your own, as Authorization: Bearer.' }),
    token: SecretText('The token.'),
    scanBytes,
  }),
  Strict({
    kind: Type.Literal('header', { description: 'A secret in a header of its own.' }),
    header: Type.String({
      pattern: `^(?!(?:${ownHeaders})$)[a-z0-9-]+$`,
      expects: 'a header name in lower case, of none that frame or route a request',
      description: 'Which.',
    }),
    value: SecretText('All that stands in it.'),
    scanBytes,
  }),
  Strict({
    kind: Type.Literal('basic', { description: 'Name and password (RFC 7617).' }),
    username: Type.String({
      pattern: '^[^:]*$',
      expects: 'a name without `:`',
      description: 'Name.',
    }),
    password: SecretText('Password.'),
    scanBytes,
  }),
  Strict({
    kind: Type.Literal('client-credentials', {
      description:
        'A token that a token endpoint gives for a client of your own (RFC 6749 §4.4), as Authorization: Bearer; the same for all workloads.',
    }),
    ...TokenEndpoint,
    scanBytes,
  }),
  Strict({
    kind: Type.Literal('token-exchange', {
      description:
        "A token for the workload itself, which its JWT-SVID is exchanged for (RFC 8693), as Authorization: Bearer: at the mesh's exchange and, if `at` is there, with what that gives at the destination's own.",
    }),
    audience: Type.String({
      minLength: 1,
      description:
        "Audience of the token that the mesh's exchange mints; it must be among its `audiences`, unless it is a SPIFFE ID of the mesh.",
    }),
    tokenType: Type.Enum(['jwt-svid', 'access-token'], {
      default: 'jwt-svid',
      description: 'What it mints.',
    }),
    at: Type.Optional(
      Strict(
        {
          ...TokenEndpointOfNobody,
          clientId: Type.Optional(clientId),
          clientSecret: Type.Optional(clientSecret),
        },
        { description: "The destination's own token endpoint (RFC 8693)." },
      ),
    ),
    scanBytes,
  }),
  Strict({
    kind: Type.Literal('aws-sigv4', { description: 'A signature of AWS, version 4.' }),
    region: Id('Such as `eu-central-1`.'),
    service: Id('Such as `s3` or `execute-api`.'),
    accessKeyId: SecretText('Access key ID.'),
    secretAccessKey: SecretText('Secret access key.'),
    sessionToken: Type.Optional(SecretText('Of temporary keys.')),
    payload: Type.Enum(['signed', 'unsigned'], {
      default: 'signed',
      description:
        '`signed`: the body is read before it goes on, up to `maxSignedBodyBytes`. `unsigned` streams it; S3 alone takes that.',
    }),
    maxSignedBodyBytes: Type.Integer({
      minimum: 0,
      maximum: 67_108_864,
      default: 1_048_576,
      description: 'A larger body is refused where it is to be signed.',
    }),
    scanBytes,
  }),
])
export type EgressCredential = Static<typeof EgressCredential>

export const EgressCredentials = Named(EgressCredential, {
  default: {},
  description:
    'Credentials, by a name of your own, that destinations with `protocol: https` or `tls-inspected` name as their `credential`. The workload never sees them; a header of its own in their place is removed, and an answer that holds them is stopped.',
})
