import { Type, type Static } from 'typebox'
import { HttpsOrigin, Strict } from './words.ts'

const sidecar = '`https://HOST:PORT` of a sidecar. All addresses of a name are used.'

const Endpoint = Type.Union(
  [
    HttpsOrigin(sidecar),
    Strict({
      url: HttpsOrigin(sidecar),
      weight: Type.Integer({
        minimum: 1,
        maximum: 1000,
        description: 'Its share of the requests, beside 1 for those without.',
      }),
    }),
  ],
  { description: 'Its URL, or `{ url, weight }` for a canary.' },
)

const Ejection = Strict(
  {
    afterFailures: Type.Integer({
      minimum: 0,
      default: 5,
      description:
        'Failures one after the other: no connection, the wrong identity, no whole answer, or 502, 503, 504. 0: never.',
    }),
    baseSeconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 10,
      description: 'How long it is left out the first time; each time that follows twice as long.',
    }),
    maxSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 300,
      description: 'But no longer than this.',
    }),
    maxPercent: Type.Integer({
      minimum: 0,
      maximum: 100,
      default: 50,
      description: 'No more of the endpoints than this are left out at a time.',
    }),
  },
  { default: {}, description: 'When an endpoint that fails gets no requests for a while.' },
)

const HealthCheck = Strict(
  {
    path: Type.String({
      format: 'route-path',
      description: 'Asked with GET, over mTLS like everything; any 2xx is well.',
    }),
    intervalSeconds: Type.Integer({
      minimum: 1,
      maximum: 3600,
      default: 5,
      description: 'How often.',
    }),
    timeoutMs: Type.Integer({
      minimum: 10,
      default: 2000,
      description: 'For the whole answer.',
    }),
    unhealthyAfter: Type.Integer({
      minimum: 1,
      default: 2,
      description: 'Bad answers one after the other, until it gets no requests.',
    }),
    healthyAfter: Type.Integer({
      minimum: 1,
      default: 2,
      description: 'Good answers one after the other, until it gets requests again.',
    }),
  },
  { description: 'Asks each endpoint whether it is well. If none is, all are used.' },
)

const Retries = Strict(
  {
    attempts: Type.Integer({
      minimum: 1,
      maximum: 3,
      default: 1,
      description: 'How many more endpoints are tried.',
    }),
    budgetPercent: Type.Integer({
      minimum: 1,
      maximum: 100,
      default: 20,
      description: 'Of the requests, at most so many are sent a second time.',
    }),
  },
  {
    description:
      'Sends a request to another endpoint when nothing of it was sent to the first. Only GET, HEAD, OPTIONS, PUT and DELETE. Off by default.',
  },
)

/** A service behind its sidecar. */
export const Upstream = Strict({
  endpoints: Type.Array(Endpoint, {
    minItems: 1,
    uniqueItems: true,
    description:
      'Where it runs. Of two taken by chance the one with fewer requests under way gets the next.',
  }),
  spiffeId: Type.String({
    format: 'spiffe-id',
    description: 'Who must answer there. Checked on every new connection.',
    whenMissing:
      'name who must answer there, such as `spiffeId: spiffe://TRUST_DOMAIN/orders`: an upstream that could be anyone gets no request',
  }),
  host: Type.Optional(
    Type.String({
      format: 'host',
      description: "Host header to send. By default the caller's own.",
    }),
  ),
  protocol: Type.Enum(['auto', 'h2', 'http1'], {
    default: 'auto',
    description:
      'What is spoken to it. `auto` is HTTP/2 where the sidecar offers it (ALPN), which costs far less, else HTTP/1.1.',
  }),
  connectTimeoutMs: Type.Integer({
    minimum: 10,
    default: 2000,
    description: 'TCP and TLS together.',
  }),
  headersTimeoutMs: Type.Integer({
    minimum: 10,
    default: 15_000,
    description: 'From the sent request to the head of the answer.',
  }),
  idleTimeoutMs: Type.Integer({
    minimum: 0,
    default: 60_000,
    description: 'Longest silence within a body; 0 for none.',
  }),
  maxConnections: Type.Integer({
    minimum: 1,
    maximum: 10_000,
    default: 64,
    description: 'To each endpoint. HTTP/2 opens a second one only where the first is full.',
  }),
  maxInFlight: Type.Integer({
    minimum: 1,
    default: 1024,
    description: 'Requests under way to all endpoints, WebSockets included.',
  }),
  maxQueued: Type.Integer({
    minimum: 0,
    maximum: 100_000,
    default: 0,
    description: 'When so many are under way, how many more may wait. Others are answered 503.',
  }),
  queueTimeoutMs: Type.Integer({
    minimum: 1,
    default: 1000,
    description: 'How long one may wait; then it is answered 503.',
  }),
  ejection: Ejection,
  healthCheck: Type.Optional(HealthCheck),
  retries: Type.Optional(Retries),
  resolveSeconds: Type.Integer({
    minimum: 1,
    maximum: 3600,
    default: 10,
    description: 'How often names of endpoints are looked up. If that fails, nothing changes.',
  }),
})
export type Upstream = Static<typeof Upstream>
