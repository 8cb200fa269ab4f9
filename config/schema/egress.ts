import { Type, type Static } from 'typebox'
import { EgressAllowlistOptions, EgressRule } from '#plugins/egress-allowlist/options'
import { RouteWafOptions } from '#plugins/waf/options'
import { EgressCredentials } from './egress-credentials.ts'
import { Described, File, Strict } from './words.ts'

const Dns = Strict(
  {
    servers: Type.Array(Type.String({ format: 'address-and-port' }), {
      default: [],
      description: 'Resolvers, `ADDRESS` or `ADDRESS:PORT`. Those of the system, if none is named.',
    }),
    hosts: Type.Record(
      Type.String({ pattern: '^[a-z0-9_.-]{1,253}$' }),
      Type.Array(Type.String({ format: 'ip-address' }), { minItems: 1 }),
      {
        default: {},
        additionalProperties: false,
        keyExpects: 'a host name in lower case',
        description: 'Names that are answered from here. Their addresses are judged as all others.',
      },
    ),
    timeoutMs: Type.Integer({
      minimum: 50,
      maximum: 60_000,
      default: 2000,
      description: 'For one question, all tries together.',
    }),
    maxTtlSeconds: Type.Integer({
      minimum: 0,
      maximum: 86_400,
      default: 60,
      description: 'An answer is remembered for as long as it says, but no longer than this.',
    }),
    cacheEntries: Type.Integer({
      minimum: 16,
      maximum: 1_000_000,
      default: 10_000,
      description: 'Names remembered.',
    }),
    answers: Type.Enum(['all', 'first-allowed'], {
      default: 'all',
      description:
        '`all`: a name that leads to one closed address is refused, whatever others it has. `first-allowed` dials those that are open.',
    }),
  },
  {
    default: {},
    description: 'How names are resolved: once a request, and what was judged is dialled.',
  },
)

/** A rule, and what only the gateway knows of. */
const Rule = Strict({
  ...EgressRule.properties,
  policy: Strict(
    {
      requires: Type.Record(Type.String(), Type.Unknown(), {
        default: {},
        description: 'For the policy to read as `input.route.requires`.',
      }),
    },
    {
      default: {},
      description: 'What the policy is told of this rule, where `egress.policy` asks it.',
    },
  ),
  waf: Type.Optional(
    Described(
      RouteWafOptions,
      'What the firewall does with inspected requests and their answers. Without it, it looks at none.',
    ),
  ),
})

/** Who may go where, and how. */
export const Egress = Strict(
  {
    ...EgressAllowlistOptions.properties,
    rules: Type.Array(Rule, {
      default: [],
      description: 'Who may go where. A workload without a rule goes nowhere.',
    }),
    indispensable: Type.Array(Type.String({ format: 'host-and-port' }), {
      default: [],
      uniqueItems: true,
      description:
        'Places that every workload must reach, `HOST:PORT`: the collector of telemetry, syslog, where bundles are. That a `deny` entry closes one, or an enforced rule does not list it, is a fault.',
    }),
    policy: Type.Optional(
      Strict(
        {
          entrypoint: Type.String({
            minLength: 1,
            default: 'sallyport/egress',
            description: "Rule of the gateway's policy bundle that gives the decision.",
          }),
        },
        {
          description:
            'The policy decides further what the rules allow; without this the rules alone do. It denies by default, a rule that requires nothing among it, and in every mode.',
        },
      ),
    ),
    credentials: EgressCredentials,
    dns: Dns,
    audiences: Type.Array(Type.String({ minLength: 1 }), {
      default: [],
      description:
        "Audiences of JWT-SVIDs that are accepted in Proxy-Authorization. By default the gateway's own SPIFFE ID.",
    }),
    destinationRoots: Strict(
      {
        files: Type.Array(File('Roots of your own.', { holds: 'certificates' }), {
          default: [],
          description: 'Roots of your own, for destinations that no public CA vouches for.',
        }),
        publicRoots: Type.Boolean({
          default: true,
          description: "Whether Mozilla's roots are believed, as Node brings them along.",
        }),
      },
      {
        default: {},
        description:
          'Whose certificates are believed where the gateway itself makes the TLS to a destination.',
      },
    ),
    trustDomains: Type.Array(Type.String({ format: 'trust-domain' }), {
      default: [],
      uniqueItems: true,
      description:
        'Other trust domains whose workloads may come, each named in `federation`. By default none but our own.',
    }),
    connectTimeoutMs: Type.Integer({
      minimum: 50,
      maximum: 120_000,
      default: 10_000,
      description:
        'For a connection to a destination, all of its addresses together, and TLS where it is made here.',
    }),
    clientHelloTimeoutMs: Type.Integer({
      minimum: 50,
      maximum: 60_000,
      default: 5000,
      description: 'For the whole ClientHello to arrive in a tunnel.',
    }),
    headersTimeoutMs: Type.Integer({
      minimum: 50,
      default: 60_000,
      description: 'Of requests that are seen: from the sent request to the head of the answer.',
    }),
    maxBodyBytes: Type.Integer({
      minimum: 0,
      default: 104_857_600,
      description: 'Of requests that are seen: larger bodies are refused.',
    }),
    maxInspectedHosts: Type.Integer({
      minimum: 16,
      maximum: 100_000,
      default: 1000,
      description:
        'Hosts whose certificates for inspection are kept; of more, those not asked for longest are had anew.',
    }),
  },
  {
    description:
      'Where workloads may go. Needs `listeners.egress`; without both nobody goes out through here.',
  },
)
export type Egress = Static<typeof Egress>
