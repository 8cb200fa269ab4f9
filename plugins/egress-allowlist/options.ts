import { Type, type Static } from 'typebox'
import { egressModes, egressProtocols } from '#contract/egress'

const strict = { additionalProperties: false } as const
const id = (description: string) =>
  Type.String({
    pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
    expects:
      'up to 63 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit',
    description,
  })

const hosts = Type.Array(Type.String({ format: 'egress-host' }), {
  minItems: 1,
  uniqueItems: true,
  description:
    'Names; `*.example.com` is any one label before it, `**.example.com` one or more, neither is `example.com` itself. A `*` within stands for a part of one label: `ec2.*.amazonaws.com`.',
})
const networks = (description: string) =>
  Type.Array(Type.String({ format: 'cidr' }), { minItems: 1, uniqueItems: true, description })
const ports = (description: string) =>
  Type.Optional(
    Type.Array(Type.Integer({ minimum: 1, maximum: 65_535 }), {
      minItems: 1,
      uniqueItems: true,
      description,
    }),
  )

const common = {
  ports: ports('TCP ports. By default 443, and 80 for `http`.'),
  protocol: Type.Enum([...egressProtocols], {
    default: 'tls',
    description:
      '`tls`: a tunnel whose ClientHello must name the host asked for. `tls-inspected`: TLS that ends here, with a certificate of the inspection CA of the exchange, so that requests and answers are seen, and begins anew to the host. `http`: plain requests. `https`: requests with an absolute `https://` or `http://` URL, which go on over verified TLS; `http://HOST/` goes to port 443. `tcp`: a tunnel that nobody looks into, for databases and the like.',
  }),
  methods: Type.Optional(
    Type.Array(Type.String({ pattern: '^[A-Z]+$', expects: 'a method in upper case' }), {
      minItems: 1,
      uniqueItems: true,
      description:
        'For `http`, `https` and `tls-inspected`, where a method can be seen. All, if absent.',
    }),
  ),
  paths: Type.Optional(
    Type.Array(Type.String({ format: 'route-prefix' }), {
      minItems: 1,
      uniqueItems: true,
      description:
        'For `http`, `https` and `tls-inspected`: paths and all below them, by whole segments. All, if absent.',
    }),
  ),
  webSockets: Type.Optional(
    Type.Boolean({
      description:
        'For `http`, `https` and `tls-inspected`: whether a request may become a WebSocket, into which nobody looks. It may not, if absent.',
    }),
  ),
  credential: Type.Optional(
    id(
      'Of `egress.credentials`: goes along with the requests that this destination lists by host, port, method and path, and with no others. For `https` and `tls-inspected`.',
    ),
  ),
  withoutServerName: Type.Boolean({
    default: false,
    description: 'Whether a ClientHello may name no host (SNI). Tunnels to an address never do.',
  }),
  encryptedClientHello: Type.Boolean({
    default: false,
    description:
      'Whether a ClientHello may be encrypted (ECH), so that the name in sight need not be the one that is meant. Browsers pretend to do so even where they do not.',
  }),
}

/** Where a workload may go. */
export const EgressDestination = Type.Union([
  Type.Object(
    {
      hosts,
      opens: Type.Optional(
        networks(
          'Networks closed to all others (private, shared, loopback …) that these names may lead to. Metadata endpoints stay closed.',
        ),
      ),
      ...common,
    },
    strict,
  ),
  Type.Object(
    { networks: networks('For requests that name an address instead of a host.'), ...common },
    strict,
  ),
])
export type EgressDestination = Static<typeof EgressDestination>

const Denial = Type.Union([
  Type.Object(
    {
      id: id('Named in refusals and records.'),
      hosts,
      ports: ports('All, if absent.'),
    },
    strict,
  ),
  Type.Object(
    {
      id: id('Named in refusals and records.'),
      networks: networks('Addresses that nobody may reach, whatever name led there.'),
      ports: ports('All, if absent.'),
    },
    strict,
  ),
])
export type EgressDenial = Static<typeof Denial>

/** Where some workloads may go. */
export const EgressRule = Type.Object(
  {
    id: id('Named in refusals, records and metrics.'),
    team: id('Who owns it; travels into metrics and records.'),
    workloads: Type.Array(Type.String({ format: 'spiffe-id-pattern' }), {
      minItems: 1,
      uniqueItems: true,
      description:
        'SPIFFE IDs; `*` is any one segment, a last `**` one or more. One rule is for one workload: an exact ID goes before a pattern, and the closer pattern before the wider.',
    }),
    mode: Type.Enum([...egressModes], {
      default: 'enforce',
      description:
        '`enforce` refuses what is not listed. `report` lets it through to ports 80 and 443, and records what would have been refused; `sallyport egress suggest` makes a list of that. `open` lets it through without a word.',
    }),
    destinations: Type.Array(EgressDestination, {
      default: [],
      description: 'Where they may go.',
    }),
    limits: Type.Object(
      {
        requests: Type.Optional(
          Type.Object(
            {
              points: Type.Integer({
                minimum: 1,
                description: 'Requests and tunnels in a window.',
              }),
              windowSeconds: Type.Integer({
                minimum: 1,
                maximum: 86_400,
                default: 60,
                description: 'Length of a window.',
              }),
              mode: Type.Enum(['enforce', 'report'], {
                default: 'enforce',
                description: '`report` only records.',
              }),
            },
            { ...strict, description: 'How often each workload may go out.' },
          ),
        ),
        maxTunnels: Type.Integer({
          minimum: 1,
          default: 1000,
          description: 'Tunnels that each workload may have open.',
        }),
        maxBytesPerDay: Type.Optional(
          Type.Integer({
            minimum: 1,
            description:
              'Bytes that each workload may move in a day (UTC), both ways together; tunnels that go beyond are cut. Counted by each gateway.',
          }),
        ),
        maxBytesOutPerDay: Type.Optional(
          Type.Integer({
            minimum: 1,
            description:
              'Bytes that each workload may send out in a day (UTC). Counted by each gateway.',
          }),
        ),
        maxBytesInPerDay: Type.Optional(
          Type.Integer({
            minimum: 1,
            description:
              'Bytes that each workload may receive in a day (UTC). Counted by each gateway.',
          }),
        ),
        tunnelSeconds: Type.Integer({
          minimum: 1,
          default: 86_400,
          description: 'Longest life of a tunnel.',
        }),
        idleSeconds: Type.Integer({
          minimum: 1,
          default: 300,
          description: 'Longest silence of a tunnel.',
        }),
      },
      { ...strict, default: {}, description: 'For each workload by itself.' },
    ),
  },
  strict,
)
export type EgressRule = Static<typeof EgressRule>

/** Who may go where. What nothing allows is refused. */
export const EgressAllowlistOptions = Type.Object(
  {
    deny: Type.Array(Denial, {
      default: [],
      description: 'Where nobody may go. Looked at first; no rule beats it.',
    }),
    allow: Type.Array(EgressDestination, {
      default: [],
      description: 'Where every workload may go that has a rule.',
    }),
    rules: Type.Array(EgressRule, {
      default: [],
      description: 'Who may go where. A workload without a rule goes nowhere.',
    }),
    nat64Prefixes: Type.Array(Type.String({ format: 'cidr' }), {
      default: [],
      description:
        'Prefixes of your own NAT64 translators (RFC 6052): an address in them counts as the IPv4 address that it carries.',
    }),
  },
  strict,
)
export type EgressAllowlistOptions = Static<typeof EgressAllowlistOptions>
