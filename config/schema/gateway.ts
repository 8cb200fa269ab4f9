import { Type, type Static } from 'typebox'
import { AuditLogOptions } from '#plugins/audit-log/options'
import { PolicyOptions } from '#plugins/policy/options'
import { secretFileSchema, type Secret } from '#contract/secret'
import { QuarantineOptions } from '#plugins/quarantine/options'
import { TracingOptions } from '#plugins/tracing/options'
import { RateLimitOptions, RateLimitStoreOptions } from '#plugins/rate-limit/options'
import { ReplayOptions } from '#plugins/replay/options'
import { WafOptions } from '#plugins/waf/options'
import { Egress } from './egress.ts'
import { AdminListener, EgressListener, IngressListener } from './listeners.ts'
import { OwnIdentity } from './own-identity.ts'
import { Route } from './routes.ts'
import { shared } from './shared.ts'
import { Upstream } from './upstreams.ts'
import { Described, File, HttpsOrigin, Named, SpiffeIdText, Strict } from './words.ts'

const ExchangeAt = Strict(
  {
    url: HttpsOrigin('`https://HOST:PORT` of the exchange.'),
    spiffeId: SpiffeIdText('Who must answer there.'),
    caFile: File('Roots to trust for the first connection, before there is a bundle.', {
      access: 'later',
      holds: 'certificates',
    }),
    timeoutMs: Type.Integer({ minimum: 50, default: 2000, description: 'For one question.' }),
  },
  { description: 'Where the exchange is, which turns callers into identities of the mesh.' },
)

const Unsafe = Strict(
  {
    plainHttpIssuers: Type.Array(Type.String(), {
      default: [],
      description:
        'Issuers whose keys may be fetched over plain HTTP: anyone on the way can forge them.',
    }),
    wildcardCredentials: Type.Array(Type.String(), {
      default: [],
      description:
        'Credentials of `egress` that may go to hosts of a wildcard, or of a network: whoever has one of them gets the credential.',
    }),
  },
  {
    default: {},
    description: 'Settings that take protection away, named by the harm. Each warns at start.',
  },
)

export const GatewayConfig = Strict({
  ...shared,
  spiffeId: SpiffeIdText('Who this gateway is.'),
  identity: OwnIdentity,
  exchange: ExchangeAt,
  listeners: Strict(
    {
      ingress: IngressListener,
      egress: Type.Optional(EgressListener),
      admin: AdminListener(9911),
    },
    { description: 'Where this process listens.' },
  ),
  limits: Strict(
    {
      store: RateLimitStoreOptions,
      address: Type.Optional(
        Described(RateLimitOptions, 'For one address (IPv6: one /64), before anything else.'),
      ),
      load: Strict(
        {
          maxEventLoopDelayMs: Type.Integer({
            minimum: 0,
            default: 1000,
            description:
              'Mean delay of the event loop above which requests get 503; 0 for no limit.',
          }),
          maxMemoryBytes: Type.Integer({
            minimum: 0,
            default: 0,
            description: 'Resident memory above which requests get 503; 0 for no limit.',
          }),
          maxInFlight: Type.Integer({
            minimum: 0,
            default: 0,
            description:
              'Requests that may be under way, WebSockets among them; 0 for as many as there are connections.',
          }),
        },
        {
          default: {},
          description:
            'When this gateway is too busy: requests are refused early, and what is under way keeps its speed. The health path goes on answering.',
        },
      ),
    },
    {
      default: {},
      description: 'Where limits are counted, and the limit for one address before anything else.',
    },
  ),
  waf: Described(WafOptions, 'What looks for attacks in requests and answers.'),
  quarantine: QuarantineOptions,
  replay: ReplayOptions,
  dpop: Strict(
    {
      nonce: Type.Enum(['off', 'required'], {
        default: 'off',
        description:
          '`required` asks for a nonce of ours in each proof (RFC 9449 §9), so that none can be made ahead of its use; the first request of a caller is answered with 401 and the nonce.',
      }),
      nonceSeconds: Type.Integer({
        minimum: 10,
        maximum: 3600,
        default: 300,
        description: 'How long a nonce is current; it is accepted for as long again.',
      }),
      nonceKey: Type.Optional(
        Type.Unsafe<Secret<string>>(
          secretFileSchema(
            'At least 32 characters at random, the same for all gateways behind one name. Without it each makes its own, and knows no nonces of others.',
          ),
        ),
      ),
    },
    { default: {}, description: 'How callers prove that they hold the key of a token.' },
  ),
  policy: PolicyOptions,
  audit: AuditLogOptions,
  tracing: Type.Optional(TracingOptions),
  caches: Strict(
    {
      maxTokens: Type.Integer({
        minimum: 100,
        default: 50_000,
        description: 'Verified tokens kept.',
      }),
      maxMints: Type.Integer({ minimum: 100, default: 50_000, description: 'Minted tokens kept.' }),
    },
    {
      default: {},
      description: 'How much is remembered, so that a repeated caller costs little.',
    },
  ),
  routes: Type.Array(Route, {
    minItems: 1,
    description: 'What is served, to whom, and where it is. Nothing else is.',
  }),
  upstreams: Named(Upstream, {
    description: 'Services behind their sidecars, by a name of your own.',
  }),
  workers: Type.Integer({
    minimum: 1,
    maximum: 64,
    default: 1,
    description:
      "Processes that serve, for several cores. With more than one, another keeps them alive and has the admin listener. Caches and limits in memory are each process's own.",
  }),
  drainDelaySeconds: Type.Integer({
    minimum: 0,
    maximum: 600,
    default: 0,
    description:
      'At SIGTERM, how long connections are still accepted, while it says that it is not ready and each answer ends its connection: time for load balancers to notice.',
  }),
  egress: Type.Optional(Egress),
  drainSeconds: Type.Integer({
    minimum: 0,
    maximum: 600,
    default: 20,
    description: 'At SIGTERM, how long what is under way may still take.',
  }),
  unsafe: Unsafe,
})
export type GatewayConfig = Static<typeof GatewayConfig>
