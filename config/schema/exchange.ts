import { Type, type Static } from 'typebox'
import { AuditLogOptions } from '#plugins/audit-log/options'
import { PolicyOptions } from '#plugins/policy/options'
import { RateLimitOptions, RateLimitStoreOptions } from '#plugins/rate-limit/options'
import { ReplayOptions } from '#plugins/replay/options'
import { Aws } from './aws.ts'
import { Clients, Grant, SelfService } from './clients.ts'
import { Legacy } from './legacy.ts'
import { AdminListener, Certificate, ListenerLimits, TlsProfile } from './listeners.ts'
import { ExchangeIdentity } from './own-identity.ts'
import { shared } from './shared.ts'
import { TokenReviews } from './token-review.ts'
import { Address, Described, File, Port, SpiffeIdText, Strict } from './words.ts'

const CertificateAuthority = Strict(
  {
    store: Type.Union(
      [
        Type.Literal('memory'),
        Strict({
          directory: File('Where keys and certificates are kept, mode 700.', {
            access: 'directory',
          }),
        }),
      ],
      {
        default: 'memory',
        description:
          '`memory` begins anew at every start: for trying out. A directory keeps root, keys, what was issued and what was revoked.',
      },
    ),
    rootLifetimeDays: Type.Integer({
      minimum: 1,
      maximum: 3650,
      default: 365,
      description: 'Life of a root.',
    }),
    intermediateLifetimeHours: Type.Integer({
      minimum: 2,
      maximum: 8760,
      default: 168,
      description: 'Life of the intermediate that signs.',
    }),
    jwtKeyLifetimeHours: Type.Integer({
      minimum: 1,
      maximum: 8760,
      default: 24,
      description: 'How long one key signs tokens. The next one is published well before.',
    }),
  },
  { default: {}, description: 'The keys of the mesh.' },
)

const Lifetimes = Strict(
  {
    x509SvidSeconds: Type.Integer({
      minimum: 60,
      maximum: 86_400,
      default: 3600,
      description: 'Of an X.509-SVID.',
    }),
    jwtSvidSeconds: Type.Integer({
      minimum: 10,
      maximum: 3600,
      default: 300,
      description:
        'Longest life of a minted token; never longer than that of the token it came from.',
    }),
    txnTokenSeconds: Type.Integer({
      minimum: 5,
      maximum: 600,
      default: 60,
      description: 'Longest life of a Txn-Token; never longer than that of the token it came from.',
    }),
    legacyTokenSeconds: Type.Integer({
      minimum: 5,
      maximum: 600,
      default: 120,
      description: 'Longest life of a token for a caller of `legacy`.',
    }),
    legacyX509SvidSeconds: Type.Integer({
      minimum: 60,
      maximum: 3600,
      default: 600,
      description: 'Of an X.509-SVID for a caller of `legacy`. It cannot be renewed by itself.',
    }),
  },
  { default: {}, description: 'How long what it issues is good for.' },
)

const ExchangePolicy = Strict(
  {
    ...PolicyOptions.properties,
    entrypoint: Type.String({
      minLength: 1,
      default: 'sallyport/exchange',
      description: 'Rule that gives the decision.',
    }),
    requires: Type.Record(Type.String(), Type.Unknown(), {
      default: {},
      description:
        'For the policy to read as `input.route.requires` where gateways ask; `grants` have their own.',
    }),
  },
  { description: 'The policy that decides every exchange. Without it `grants` alone decide.' },
)

const Limits = Strict(
  {
    store: RateLimitStoreOptions,
    client: Type.Optional(
      Described(
        RateLimitOptions,
        'For each of `clients`. Gateways limit their callers themselves.',
      ),
    ),
    subject: Type.Optional(
      Described(RateLimitOptions, 'For each SPIFFE ID that something is asked for.'),
    ),
  },
  { default: {}, description: 'How often something may be asked for.' },
)

const Inspection = Strict(
  {
    hosts: Type.Array(Type.String({ format: 'egress-host' }), {
      minItems: 1,
      maxItems: 1000,
      uniqueItems: true,
      description:
        'Hosts for which gateways may have certificates, as in the destinations of their rules. The CA is constrained to these names, as far as constraints can say it: to what stands behind a wildcard.',
    }),
    caLifetimeDays: Type.Integer({
      minimum: 7,
      maximum: 3650,
      default: 365,
      description:
        'Life of the CA. The next one is published when 30 days are left, or half of its life if that is less, and signs when 7 days, or a sixth, are left.',
    }),
    leafSeconds: Type.Integer({
      minimum: 300,
      maximum: 86_400,
      default: 86_400,
      description: 'Life of a certificate for one host.',
    }),
  },
  {
    description:
      'The CA of hosts whose TLS gateways look into (`protocol: tls-inspected`). It is none of the mesh: workloads that are to trust it get it at `/inspection/ca.pem`.',
  },
)

const JoinToken = Strict({
  spiffeId: SpiffeIdText('Whose first certificate it is good for.'),
  file: File('Written at start with mode 600; spent at its first use.', { access: 'write' }),
  lifetimeSeconds: Type.Integer({
    minimum: 10,
    maximum: 86_400,
    default: 600,
    description: 'Then it is worthless.',
  }),
})

export const ExchangeConfig = Strict({
  ...shared,
  spiffeId: SpiffeIdText('Who this exchange is.'),
  identity: Type.Optional(ExchangeIdentity),
  issuer: Type.String({
    format: 'https-url',
    description: 'The `iss` of minted tokens, and the base of the published keys.',
  }),
  listeners: Strict(
    {
      exchange: Strict(
        {
          host: Address,
          port: Port(8444),
          names: Type.Array(Type.String({ minLength: 1 }), {
            default: ['localhost', '127.0.0.1'],
            description: 'DNS names and addresses for its server certificate.',
          }),
          limits: ListenerLimits,
        },
        { description: 'Where gateways and workloads ask, over TLS with its own certificate.' },
      ),
      federation: Type.Optional(
        Strict(
          {
            host: Address,
            port: Port(8447),
            tls: Strict(
              {
                profile: TlsProfile,
                certificates: Type.Array(Certificate, {
                  minItems: 1,
                  description:
                    'Of the web, chosen by SNI; the first one serves all other names. Read again when they change.',
                }),
              },
              { description: 'How connections are encrypted.' },
            ),
            limits: ListenerLimits,
          },
          {
            description:
              'Where other trust domains fetch our bundle, `GET /bundle`, by the profile `https_web`. By `https_spiffe` they fetch it from the listener `exchange`.',
          },
        ),
      ),
      admin: AdminListener(9912),
    },
    { description: 'Where this process listens.' },
  ),
  ca: CertificateAuthority,
  lifetimes: Lifetimes,
  inspection: Type.Optional(Inspection),
  gateways: Type.Array(SpiffeIdText('A gateway.'), {
    minItems: 1,
    description: 'Who may ask for identities on behalf of others.',
  }),
  audiences: Type.Array(Type.String({ minLength: 1 }), {
    default: [],
    description: 'Audiences that tokens may be minted for besides SPIFFE IDs of the trust domain.',
  }),
  clients: Clients,
  aws: Type.Optional(Aws),
  tokenReviews: TokenReviews,
  legacy: Legacy,
  selfService: SelfService,
  grants: Type.Array(Grant, {
    default: [],
    description:
      'Who but a gateway may have which identity for whom. One grant must allow all that is asked for.',
  }),
  maxActors: Type.Integer({
    minimum: 1,
    maximum: 16,
    default: 4,
    description: 'How many actors one token may name, one acting for the other.',
  }),
  maxIssued: Type.Integer({
    minimum: 1000,
    maximum: 1_000_000,
    default: 100_000,
    description: 'Credentials that `issued list` remembers until they end.',
  }),
  policy: Type.Optional(ExchangePolicy),
  limits: Limits,
  replay: ReplayOptions,
  joinTokens: Type.Array(JoinToken, {
    default: [],
    description: 'Tokens for the first certificate of each gateway.',
  }),
  audit: AuditLogOptions,
  drainSeconds: Type.Integer({ minimum: 0, maximum: 600, default: 10, description: 'At SIGTERM.' }),
  unsafe: Strict(
    {
      plainHttpIssuers: Type.Array(Type.String(), {
        default: [],
        description:
          'Issuers whose keys may be fetched over plain HTTP: anyone on the way can forge them.',
      }),
    },
    {
      default: {},
      description: 'Settings that take protection away, named by the harm. Each warns at start.',
    },
  ),
})
export type ExchangeConfig = Static<typeof ExchangeConfig>
