import { Type, type Static } from 'typebox'
import { legacyMethods } from '#contract/legacy'
import { RateLimitOptions } from '#plugins/rate-limit/options'
import { RouteWafOptions } from '#plugins/waf/options'
import { Described, HeaderName, Id, Strict } from './words.ts'

const PathMatch = Type.Union(
  [
    Strict({
      exact: Type.String({ format: 'route-path', description: 'This path and no other.' }),
    }),
    Strict({
      prefix: Type.String({
        format: 'route-prefix',
        description:
          'This path and all below it, by whole segments: `/a` is not the beginning of `/ab`.',
      }),
    }),
    Strict({
      pattern: Type.String({
        format: 'route-pattern',
        description:
          'Segments, of which `*` is any one and a last `**` any number: `/orders/*/items`.',
      }),
    }),
  ],
  { description: 'One of `exact`, `prefix`, `pattern`.' },
)
export type PathMatch = Static<typeof PathMatch>

const RouteMatch = Strict(
  {
    hosts: Type.Array(Type.String({ format: 'host-pattern' }), {
      minItems: 1,
      uniqueItems: true,
      description: 'Host names; `*.example.com` is any one label before `.example.com`.',
    }),
    path: PathMatch,
    methods: Type.Optional(
      Type.Array(Type.String({ pattern: '^[A-Z]+$', expects: 'a method in upper case' }), {
        minItems: 1,
        uniqueItems: true,
        description: 'All, if absent.',
      }),
    ),
    headers: Type.Optional(
      Type.Record(Type.String({ pattern: '^[a-z0-9-]+$' }), Type.String(), {
        additionalProperties: false,
        keyExpects: 'a header name in lower case: letters, digits and `-`',
        description: 'Headers that must have exactly this value.',
      }),
    ),
  },
  { description: 'Which requests are its own. All that is named has to fit.' },
)
export type RouteMatch = Static<typeof RouteMatch>

export const tokenKinds = ['jwt-svid', 'access-token'] as const

/** A part of what is served, who may reach it and where it is. */
export const Route = Strict({
  id: Id('Name of the route in metrics and records.'),
  team: Id('Who owns it; travels into metrics and records.'),
  match: RouteMatch,
  authenticate: Type.Union(
    [
      Type.Literal('none'),
      Strict({
        issuers: Type.Array(Type.String(), {
          uniqueItems: true,
          default: [],
          description: 'Names of the issuers whose tokens are accepted here.',
        }),
        legacy: Type.Optional(
          Type.Array(Type.Enum([...legacyMethods]), {
            minItems: 1,
            uniqueItems: true,
            description:
              'Besides tokens, or instead of them: an API key in `X-API-Key`, a password, a signed request (RFC 9421) or a client certificate. The exchange knows whose they are (`legacy.callers`); a signed body may have 1 MiB.',
          }),
        ),
        bound: Type.Enum(['optional', 'required'], {
          default: 'optional',
          description:
            '`required` lets in only tokens that are bound to the key of DPoP proofs (RFC 9449) or to a client certificate (RFC 8705). A token that says that it is bound is never taken without proof.',
        }),
      }),
    ],
    {
      description: '`none`, said aloud, or whose tokens and which other credentials are accepted.',
      whenMissing:
        'say whose tokens are accepted with `authenticate: { issuers: [NAME] }`, or `authenticate: none` to let strangers in',
    },
  ),
  clientCertificate: Type.Optional(
    Strict(
      {
        names: Type.Array(Type.String({ minLength: 1, maxLength: 2048 }), {
          default: [],
          uniqueItems: true,
          description:
            'Subject alternative names of which it must have one: host names, or URIs such as SPIFFE IDs, exactly. Any, if empty.',
        }),
      },
      {
        description:
          'Lets in only connections with a certificate that leads to `listeners.ingress.tls.clientCertificates.rootsFile`, if only as `{}`; besides what `authenticate` says.',
      },
    ),
  ),
  limits: Strict(
    {
      caller: Type.Optional(Described(RateLimitOptions, 'For each caller by itself.')),
      route: Type.Optional(Described(RateLimitOptions, 'For all callers together.')),
    },
    { default: {}, description: 'Limits for one caller, and for the route as a whole.' },
  ),
  policy: Strict(
    {
      requires: Type.Record(Type.String(), Type.Unknown(), {
        default: {},
        description: 'For the policy to read as `input.route.requires`.',
      }),
      headers: Type.Array(HeaderName('One header.'), {
        default: [],
        description: 'Request headers that the policy may see.',
      }),
    },
    { default: {}, description: 'What the policy is told of this route.' },
  ),
  cors: Type.Optional(
    Strict(
      {
        origins: Type.Array(Type.String({ format: 'origin-pattern' }), {
          minItems: 1,
          uniqueItems: true,
          description:
            'Whose pages may call: `https://app.example.com`, `https://*.example.com` for any one label before it, or `*` for every page there is.',
        }),
        methods: Type.Optional(
          Type.Array(Type.String({ pattern: '^[A-Z]+$', expects: 'a method in upper case' }), {
            minItems: 1,
            uniqueItems: true,
            description: 'Those of `match`, if absent.',
          }),
        ),
        headers: Type.Array(HeaderName('One header.'), {
          default: ['authorization', 'content-type'],
          uniqueItems: true,
          description: 'Request headers that a page may set, besides those that it always may.',
        }),
        exposedHeaders: Type.Array(HeaderName('One header.'), {
          default: [],
          uniqueItems: true,
          description:
            'Headers of an answer that a page may read, besides those that it always may.',
        }),
        credentials: Type.Boolean({
          default: false,
          description:
            'Whether a page may call with cookies and client certificates. An `Authorization` that it sets itself needs none of it.',
        }),
        maxAgeSeconds: Type.Integer({
          minimum: 0,
          maximum: 86_400,
          default: 600,
          description: 'How long a browser need not ask again.',
        }),
      },
      {
        description:
          'Lets pages of other origins call this route from browsers (CORS). What browsers ask before (preflights) is answered here, without authentication; Access-Control headers of the service are replaced.',
      },
    ),
  ),
  waf: Type.Optional(Described(RouteWafOptions, 'What the WAF does differently on this route.')),
  upstream: Type.String({ description: 'Name of the upstream.' }),
  identity: Strict(
    {
      token: Type.Enum([...tokenKinds], {
        default: 'jwt-svid',
        description: 'What the upstream gets as `Authorization: Bearer`.',
      }),
      audience: Type.Optional(
        Type.String({
          minLength: 1,
          description: "Audience of that token. By default the upstream's SPIFFE ID.",
        }),
      ),
    },
    { default: {}, description: 'How the caller is made known to the upstream.' },
  ),
  maxBodyBytes: Type.Integer({
    minimum: 0,
    default: 10_485_760,
    description: 'Larger bodies are refused, or cut off where no length was announced.',
  }),
  totalTimeoutMs: Type.Integer({
    minimum: 0,
    default: 60_000,
    description:
      'From the first step to the last byte; 0 for streams that may go on. Of a WebSocket only the handshake.',
  }),
  websocket: Type.Optional(
    Strict(
      {
        idleTimeoutMs: Type.Integer({
          minimum: 0,
          default: 300_000,
          description: 'When nothing was sent either way for so long, it is ended; 0 for never.',
        }),
      },
      { description: 'Offers WebSocket here, if only as `{}`. Elsewhere it is refused.' },
    ),
  ),
  grpc: Type.Optional(
    Strict(
      {
        idleTimeoutMs: Type.Integer({
          minimum: 0,
          default: 300_000,
          description:
            'When nothing was sent either way for so long, a call is ended; 0 for never.',
        }),
      },
      {
        description:
          'Says that gRPC is served here, if only as `{}`: a call may send as slowly as it likes, within this and `totalTimeoutMs`, and the firewall does not wait for its first message. Elsewhere gRPC passes too, within the times of every request.',
      },
    ),
  ),
  whenTokenExpires: Type.Enum(['close', 'letFinish'], {
    default: 'close',
    description:
      "What becomes of answers and WebSockets that are still open when their caller's token ends, its issuer's `skewSeconds` granted. An answer always has ten seconds.",
  }),
})
export type Route = Static<typeof Route>
