import { Type, type Static } from 'typebox'
import { Address, Described, File, Port, Strict } from './words.ts'

export const Certificate = Strict({
  certificateFile: File('PEM certificate, leaf first, then its intermediates.', {
    holds: 'certificates',
  }),
  keyFile: File('PEM private key.', { holds: 'private-key' }),
})
export type Certificate = Static<typeof Certificate>

export const TlsProfile = Type.Enum(['modern', 'intermediate'], {
  default: 'intermediate',
  description:
    '`modern` is TLS 1.3 alone, `intermediate` also TLS 1.2 with forward secrecy and AEAD.',
})

export const ListenerLimits = Strict(
  {
    headersTimeoutMs: Type.Integer({
      minimum: 100,
      default: 10_000,
      description: 'Time for a whole head to arrive.',
    }),
    requestTimeoutMs: Type.Integer({
      minimum: 1000,
      default: 60_000,
      description: 'Time for a whole request, body included, to arrive.',
    }),
    keepAliveTimeoutMs: Type.Integer({
      minimum: 0,
      default: 5000,
      description: 'How long an idle connection is kept.',
    }),
    maxConnections: Type.Integer({
      minimum: 1,
      default: 10_000,
      description: 'More are closed at once.',
    }),
    maxHeaderBytes: Type.Integer({
      minimum: 1024,
      maximum: 65_536,
      default: 16_384,
      description: 'Size of a head.',
    }),
    maxHeaderPairs: Type.Integer({
      minimum: 10,
      maximum: 500,
      default: 100,
      description: 'Number of headers.',
    }),
    maxTargetBytes: Type.Integer({
      minimum: 256,
      default: 8192,
      description: 'Length of path and query.',
    }),
    maxRequestsPerConnection: Type.Integer({
      minimum: 1,
      default: 1000,
      description: 'After so many requests a connection is closed.',
    }),
    maxConnectionsPerAddress: Type.Integer({
      minimum: 0,
      default: 0,
      description: 'More of one address are closed at once; 0 for no limit.',
    }),
    stalledTimeoutMs: Type.Integer({
      minimum: 0,
      default: 120_000,
      description:
        'A connection on which nothing moves for so long while a request is under way is closed; 0 for never.',
    }),
    minReadBytesPerSecond: Type.Integer({
      minimum: 0,
      default: 1024,
      description: 'A caller that takes its answer slower than this is cut; 0 for no limit.',
    }),
    slowReadGraceMs: Type.Integer({
      minimum: 1000,
      default: 10_000,
      description: 'How long a caller may take nothing of its answer, whatever the rate.',
    }),
  },
  { default: {}, description: 'What a connection may ask for, and for how long.' },
)
export type ListenerLimits = Static<typeof ListenerLimits>

export const Http2 = Strict(
  {
    offered: Type.Boolean({
      default: true,
      description: 'Whether callers may choose HTTP/2 (ALPN) instead of HTTP/1.1.',
    }),
    maxConcurrentStreams: Type.Integer({
      minimum: 1,
      maximum: 1000,
      default: 100,
      description: 'Requests that may be open on one connection; announced. More are refused.',
    }),
    resetBurst: Type.Integer({
      minimum: 1,
      default: 100,
      description:
        'Requests that a connection may cancel at once; one that goes on is ended (rapid reset, CVE-2023-44487).',
    }),
    resetsPerSecond: Type.Integer({
      minimum: 1,
      default: 20,
      description: 'Requests that it may cancel each second from then on.',
    }),
    controlFrameBurst: Type.Integer({
      minimum: 10,
      default: 100,
      description: 'PING and SETTINGS that a connection may send without a request between them.',
    }),
    controlFramesPerSecond: Type.Integer({
      minimum: 1,
      default: 20,
      description: 'How many of those it may send each second from then on.',
    }),
    maxInvalidFrames: Type.Integer({
      minimum: 1,
      default: 100,
      description: 'Frames against the protocol of which each costs its stream; then all end.',
    }),
    maxMemoryMegabytes: Type.Integer({
      minimum: 1,
      maximum: 1024,
      default: 10,
      description: 'What may be held for one connection: headers, bodies, frames to be sent.',
    }),
    receiveWindowBytes: Type.Integer({
      minimum: 65_535,
      maximum: 16_777_216,
      default: 65_535,
      description:
        'How much of a body, and of all bodies of a connection, may be on its way. More makes uploads over long distances faster and costs so much memory for each connection.',
    }),
    idleTimeoutMs: Type.Integer({
      minimum: 100,
      default: 30_000,
      description: 'How long a connection without a request is kept.',
    }),
  },
  {
    default: {},
    description:
      'HTTP/2 from callers, and what a connection of it may ask for besides what `limits` says. WebSocket is not offered on it.',
  },
)

/** Where callers from outside come in. */
export const IngressListener = Strict(
  {
    host: Address,
    port: Port(8443),
    tls: Strict(
      {
        profile: TlsProfile,
        certificates: Type.Array(Certificate, {
          minItems: 1,
          description:
            'Chosen by SNI from the names in each certificate; the first one serves all other names.',
        }),
        clientCertificates: Type.Optional(
          Strict(
            {
              rootsFile: Type.Optional(
                File(
                  'PEM roots that the certificates of callers must lead to, for routes with `clientCertificate`. Not needed for tokens that are bound to a certificate.',
                  { holds: 'certificates' },
                ),
              ),
              trustDomains: Type.Optional(
                Type.Array(Type.String({ pattern: '^[a-z0-9._-]{1,255}$' }), {
                  uniqueItems: true,
                  description:
                    'Other trust domains of `federation` whose X.509-SVIDs count for such routes, too, each by its own bundle alone.',
                }),
              ),
            },
            {
              description:
                'Asks callers for a certificate, if only as `{}`. Who has none gets in all the same, where the route does not want one. Connections are not resumed then.',
            },
          ),
        ),
      },
      { description: 'How connections are encrypted.' },
    ),
    limits: ListenerLimits,
    http2: Http2,
    paths: Type.Enum(['reject', 'istio-decode-and-merge'], {
      default: 'reject',
      description:
        '`reject` refuses every path that two programs could read differently; the other decodes and merges as Istio does.',
    }),
    unusualHeaderNames: Type.Enum(['refuse', 'drop', 'allow'], {
      default: 'refuse',
      description: 'What to do with header names that have `_` or `.` in them.',
    }),
    trustedProxies: Type.Array(Type.String({ format: 'cidr' }), {
      default: [],
      description: 'Networks whose X-Forwarded-For is believed. From elsewhere it is overwritten.',
    }),
    proxyProtocol: Type.Optional(
      Strict(
        {
          trustedProxies: Type.Array(Type.String({ format: 'cidr' }), {
            minItems: 1,
            description:
              'Networks of load balancers that must begin each connection with a PROXY header, version 2. From elsewhere it is a fault.',
          }),
          headerTimeoutMs: Type.Integer({
            minimum: 100,
            maximum: 60_000,
            default: 5000,
            description: 'Time for the header to arrive.',
          }),
        },
        {
          description:
            'Believes load balancers that tell the address of a caller before TLS, by the PROXY protocol.',
        },
      ),
    ),
    healthPath: Type.Optional(
      Type.String({
        format: 'route-path',
        description:
          'A path that answers 200 while this gateway serves, for load balancers. It has no route.',
      }),
    ),
  },
  { description: 'Where callers from outside come in, over TLS.' },
)
export type IngressListener = Static<typeof IngressListener>

/** Where workloads come that want to go out. */
export const EgressListener = Strict(
  {
    host: Address,
    port: Port(8445),
    tls: Strict(
      {
        profile: TlsProfile,
        certificates: Type.Array(Certificate, {
          minItems: 1,
          description:
            'What workloads check: for the name in their `HTTPS_PROXY=https://NAME:PORT`.',
        }),
      },
      {
        description:
          'How connections are encrypted. Callers show the X.509-SVID of a workload of the trust domain, or send a JWT-SVID.',
      },
    ),
    limits: ListenerLimits,
    http2: Described(
      Http2,
      'HTTP/2 from workloads within inspected TLS, whatever the destination speaks, and what a connection of it may ask for besides what `limits` says. The proxy itself is asked over HTTP/1.1.',
    ),
  },
  { description: 'Where workloads come that want to go out: an HTTP proxy over TLS.' },
)
export type EgressListener = Static<typeof EgressListener>

/** Health, metrics and what operators ask. Loopback unless configured otherwise. */
export const AdminListener = (port: number) =>
  Strict(
    { host: Address, port: Port(port) },
    { default: {}, description: 'Health, metrics and what operators ask, without TLS.' },
  )
export type AdminListener = Static<ReturnType<typeof AdminListener>>
