import { Type, type Static } from 'typebox'
import { HttpsOrigin, Strict } from './words.ts'

/** A service behind its sidecar. */
export const Upstream = Strict({
  endpoints: Type.Array(HttpsOrigin('`https://HOST:PORT` of a sidecar.'), {
    minItems: 1,
    uniqueItems: true,
    description: 'Where it runs; taken in turn.',
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
    description: 'Requests under way to all endpoints; one more is answered 503.',
  }),
})
export type Upstream = Static<typeof Upstream>
