import { Type, type TProperties } from 'typebox'
import { egressProtocols, egressReasons } from '#contract/egress'
import { policyContractVersion } from '#contract/policy'

/**
 * `PolicyInput` and `PolicyDecision` of `contract/policy.ts` as JSON Schema, for whoever writes policies;
 * `docs/reference/policy-*.schema.json` are made from them. That they say the same is a type error otherwise
 * (`test/types/schemas.ts`).
 */
const Strict = <const Properties extends TProperties>(properties: Properties, description = '') =>
  Type.Object(properties, { additionalProperties: false, ...(description && { description }) })

const Nullable = (description: string) => Type.Union([Type.String(), Type.Null()], { description })

const Request = Strict({
  method: Type.String({ description: 'Upper-case.' }),
  host: Type.String({ description: 'Lower-case, without port.' }),
  path: Type.String({ description: 'Normalised, beginning with `/`; what the service will see.' }),
  segments: Type.Array(Type.String(), {
    description: 'The path split at `/`, without the leading empty one.',
  }),
  query: Type.String({ description: "As it was sent, with its `?`; '' if there is none." }),
  headers: Type.Record(Type.String(), Type.String(), {
    description: "Only those named by the route's `policy.headers`, lower-case.",
  }),
})

const Route = Strict({
  id: Type.String(),
  team: Type.String({ description: 'Who owns it.' }),
  requires: Type.Record(Type.String(), Type.Unknown(), {
    description: 'What the operator wrote at the route, as `policy.requires`.',
  }),
})

const Subject = Strict({
  spiffeId: Nullable('Who the caller is in the mesh; null for nobody in particular.'),
  issuer: Nullable('Name that the configuration gives the issuer of the token.'),
  kind: Type.Enum(['external', 'serverless', 'legacy', 'mesh', 'anonymous']),
  claims: Type.Record(Type.String(), Type.Unknown(), {
    description: "Claims named by the issuer's `policyClaims`. Never the token.",
  }),
})

const Exchange = Strict(
  {
    client: Type.String({
      description: "Who asks: a gateway's SPIFFE ID, the name of a client, or `self`.",
    }),
    tokenType: Type.Enum(['jwt-svid', 'access-token', 'txn-token', 'x509-svid']),
    audience: Type.String({ description: "'' for a certificate, which has none." }),
    scopes: Type.Array(Type.String()),
    actor: Nullable('SPIFFE ID of who acts for the subject; null if nobody does.'),
  },
  'Of `exchange` alone: what is asked for.',
)

const Egress = Strict(
  {
    port: Type.Integer(),
    protocol: Type.Enum([...egressProtocols]),
    reason: Type.Enum([...egressReasons], { description: 'Why the rules let it through.' }),
    asks: Type.Enum(['tunnel', 'request', 'web-socket'], {
      description:
        'Of a tunnel neither method nor path are known: `request.method` is CONNECT and `request.path` empty.',
    }),
    credential: Nullable('Name of the credential that would go along; null if none does.'),
  },
  'Of `egress` alone: where it goes, after the rules have allowed it. `request.host` is the host, `route` the rule, `subject` the workload.',
)

export const PolicyInputSchema = Strict(
  {
    version: Type.Literal(policyContractVersion, {
      description: 'Fields are only ever added; a change of meaning is a new version.',
    }),
    nowMs: Type.Number({
      description: 'Milliseconds since 1970, in whole seconds; one instant for the request.',
    }),
    direction: Type.Enum(['ingress', 'egress', 'exchange']),
    trustDomain: Type.String(),
    request: Request,
    route: Route,
    subject: Subject,
    exchange: Type.Optional(Exchange),
    egress: Type.Optional(Egress),
    tls: Strict({
      version: Type.String(),
      clientSpiffeId: Nullable('Of the client certificate, if there was one.'),
    }),
    net: Strict({ address: Type.String({ description: 'Of the caller.' }) }),
  },
  'What a policy may look at.',
)

export const PolicyReasonSchema = Strict({
  code: Type.String({ description: 'For programs; stays the same.' }),
  class: Type.Enum(['identity', 'role', 'scope', 'tenant', 'time', 'egress', 'policy']),
  message: Type.String({ description: 'For people who read the record. Callers are not told.' }),
})

/** What a policy gives. Anything that has not exactly this shape is a denial. */
export const PolicyResultSchema = Strict(
  {
    allow: Type.Boolean(),
    reasons: Type.Array(PolicyReasonSchema, {
      description: 'For what is allowed and what is denied.',
    }),
  },
  'What a policy gives. Anything that has not exactly this shape is a denial.',
)
