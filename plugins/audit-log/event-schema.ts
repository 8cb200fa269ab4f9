import { Type, type TProperties } from 'typebox'
import { auditEventVersion, serverNameVerdicts, tunnelEnds } from '#contract/audit-event'
import {
  egressCredentialKinds,
  egressModes,
  egressProtocols,
  egressReasons,
} from '#contract/egress'
import { legacyMethods } from '#contract/legacy'
import { problems, type ProblemTag } from '#contract/problem'
import { quarantineKinds } from '#contract/quarantine'

/**
 * `AuditEvent` of `contract/audit-event.ts` as JSON Schema, for whoever reads the records;
 * `docs/reference/audit-event.schema.json` is made from it. Should the two not say the same, `test/types/schemas.ts` does
 * not compile.
 */
// Not closed: a field may be added, and whoever checks records by this must not refuse them for it.
const Record = <const Properties extends TProperties>(properties: Properties, description = '') =>
  Type.Object(properties, description === '' ? {} : { description })

const Instant = (description: string) =>
  Type.String({ description: `${description} ISO 8601, UTC, to the millisecond.` })
const Count = (description: string) => Type.Integer({ minimum: 0, description })
const Text = (description: string) => Type.String({ description })

const problemTags = Object.keys(problems) as ProblemTag[]

const Request = Record(
  {
    method: Type.String(),
    host: Type.String(),
    path: Text(
      'Normalised and without the query; as it was sent where it was refused before that.',
    ),
    protocol: Type.String(),
    address: Text('Of the caller, behind the proxies that are trusted.'),
    tls: Type.Optional(Text('Version of TLS.')),
    clientSpiffeId: Type.Optional(Text('Of the client certificate.')),
  },
  'What was asked.',
)

const Caller = Record(
  {
    issuer: Text('Name that the configuration gives it.'),
    subject: Text('`sub` of the token.'),
    tokenFingerprint: Text(
      "SHA-256 of the token's signing input, base64url, cut to 16 characters: tells tokens apart and is none.",
    ),
    kid: Text('Key that signed it.'),
    jti: Type.Optional(Type.String()),
    expiresAt: Instant('When the token ends.'),
  },
  'Who called, by the token that was verified.',
)

const Policy = Record(
  {
    allow: Type.Boolean(),
    reasons: Type.Array(
      Record({
        code: Type.String(),
        class: Type.Enum(['identity', 'role', 'scope', 'tenant', 'time', 'egress', 'policy']),
        message: Type.String(),
      }),
    ),
    revision: Text('Of the bundle that decided, and of its data.'),
  },
  'What the policy decided.',
)

const Minted = Record(
  {
    tokenType: Text('RFC 8693 §3.'),
    subject: Type.String(),
    audience: Type.String(),
    scope: Type.Optional(Text('Scopes, if it has any.')),
    txn: Type.Optional(Text('Of a Txn-Token: the transaction.')),
    jti: Type.String(),
    kid: Type.String(),
    expiresAt: Instant('When it ends.'),
    fromCache: Type.Boolean(),
  },
  'The identity that was handed on. The exchange has a record of its making, with the same `jti`.',
)

const MatchedRule = Record({
  id: Type.Integer(),
  message: Type.String(),
  severity: Type.Optional(Type.String()),
  variable: Text('What it matched in, such as `ARGS:name`.'),
  matched: Text('The part that matched, cut and escaped; `[redacted]` where it may be a secret.'),
  exclusion: Text('A line for the configuration that makes this rule leave this variable alone.'),
})

const Inspection = Record(
  {
    mode: Type.Enum(['enforce', 'detect']),
    inboundScore: Type.Number({ description: 'Of the request.' }),
    outboundScore: Type.Number({ description: 'Of the answer.' }),
    rules: Type.Array(MatchedRule),
    moreMatches: Type.Integer({ description: 'Matches that are not listed.' }),
    decidedBy: Type.Optional(
      Type.Integer({ description: 'The rule that refused, or would have.' }),
    ),
    partly: Type.Optional(
      Type.Literal(true, { description: 'The request was only looked at in part.' }),
    ),
  },
  'What the firewall found.',
)

const Egress = Record(
  {
    phase: Type.Enum(['opened', 'closed', 'whole'], {
      description: 'A tunnel has two records, of one decision id; all else has one.',
    }),
    host: Text('As it was asked for, in its one spelling.'),
    port: Type.Integer(),
    protocol: Type.Optional(Type.Enum([...egressProtocols])),
    proof: Type.Optional(
      Type.Enum(['x509-svid', 'jwt-svid'], { description: 'How the workload proved who it is.' }),
    ),
    rule: Type.Optional(Text('Rule of the workload.')),
    mode: Type.Optional(Type.Enum([...egressModes])),
    reason: Type.Optional(Type.Enum([...egressReasons])),
    wouldRefuse: Type.Optional(
      Type.Enum([...egressReasons], {
        description: 'What it would have been refused for, were the rule enforced.',
      }),
    ),
    aliases: Type.Optional(
      Type.Array(Type.String({ maxLength: 253 }), {
        maxItems: 8,
        description:
          'Names that the name stood for, from one to the next (CNAME), as far as they were told in time. None of them is dialled: the addresses count.',
      }),
    ),
    addresses: Type.Optional(
      Type.Array(
        Record({
          address: Type.String(),
          class: Text('`public`, or what it is kept closed for.'),
          isAllowed: Type.Boolean(),
        }),
        { description: 'All that the name led to.' },
      ),
    ),
    dialled: Type.Optional(Text('The address that was dialled.')),
    tls: Type.Optional(Text('Version of TLS, where the gateway itself made it.')),
    credential: Type.Optional(
      Record(
        {
          id: Text('Its name in the configuration.'),
          kind: Type.Enum([...egressCredentialKinds]),
          fromCache: Type.Optional(
            Type.Boolean({ description: 'Of what is fetched: whether it was there already.' }),
          ),
          tookMs: Type.Number(),
        },
        'What went along with the request; never what it is.',
      ),
    ),
    serverName: Type.Optional(
      Type.Enum([...serverNameVerdicts], { description: 'What the ClientHello named.' }),
    ),
    tunnel: Type.Optional(
      Type.String({ description: 'Of an inspected request: the `decisionId` of its tunnel.' }),
    ),
    isFirst: Type.Optional(
      Type.Literal(true, {
        description: 'The first time since the start that this workload went there.',
      }),
    ),
    lookupMs: Type.Optional(Type.Number()),
    connectMs: Type.Optional(Type.Number()),
    closedBy: Type.Optional(Type.Enum([...tunnelEnds], { description: 'Why a tunnel ended.' })),
  },
  'Where a workload wanted to go, and what became of it.',
)

const Quarantined = Record(
  {
    id: Type.String(),
    kind: Type.Enum([...quarantineKinds]),
    value: Text('Whom or what it cuts off: a network, a route, a subject …'),
    issuer: Type.Optional(Text('Of the subject, the token or the key.')),
    reason: Type.String(),
    actor: Text('Who made the entry.'),
    expiresAt: Type.Optional(Instant('When it ends by itself.')),
    notBefore: Type.Optional(Instant('It is only about tokens issued before this.')),
  },
  'The entry of the quarantine that cut it off, or that an order was about.',
)

export const AuditEventSchema = Record(
  {
    version: Type.Literal(auditEventVersion, {
      description: 'Raised when a field changes its meaning or goes; new fields do not raise it.',
    }),
    kind: Type.Enum(['ingress', 'egress', 'exchange', 'admin']),
    time: Instant('When it began.'),
    traceId: Type.Optional(
      Text(
        'The trace that the request belongs to, where traces are taken; of an exchange, of the request that caused it.',
      ),
    ),
    decisionId: Text(
      'Also in the answer, as `x-sallyport-decision-id`, and in the record of the exchange for the same request.',
    ),
    outcome: Type.Enum(['forwarded', 'refused', 'failed', 'answered']),
    step: Text('The step that stopped it, `none` when nothing did.'),
    problem: Type.Enum([...problemTags, 'none']),
    detail: Type.Optional(Text('What the caller was told.')),
    cause: Type.Optional(Text('What lay behind the problem. For people: its wording may change.')),
    status: Type.Integer({ description: 'Of the answer; 499 when the caller went away.' }),
    grpcStatus: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: 16,
        description:
          'Of a call of gRPC: what its trailers said, or our refusal, of which `status` is what it would be over plain HTTP.',
      }),
    ),
    durationMs: Type.Number({ minimum: 0 }),
    bytesIn: Count('Of the body.'),
    bytesOut: Count('Of the body of the answer.'),
    door: Type.Optional(Type.Enum(['request', 'upgrade', 'connect'])),
    request: Type.Optional(Request),
    route: Type.Optional(Record({ id: Type.String(), team: Type.String() })),
    caller: Type.Optional(Caller),
    credential: Type.Optional(
      Type.Enum([...legacyMethods], {
        description: 'How a caller without a token proved who it is.',
      }),
    ),
    spiffeId: Type.Optional(Text('Identity that the caller was mapped to.')),
    mapping: Type.Optional(Text('Name of the rule that mapped it.')),
    mappingRevision: Type.Optional(
      Text('Of all such rules, as the configuration had them: 12 hex digits.'),
    ),
    quota: Type.Optional(
      Record({
        limit: Type.Integer(),
        remaining: Type.Integer(),
        reportOnly: Type.Optional(
          Type.Literal(true, { description: 'It was over a limit that is not enforced.' }),
        ),
      }),
    ),
    waf: Type.Optional(Inspection),
    policy: Type.Optional(Policy),
    minted: Type.Optional(Minted),
    upstream: Type.Optional(
      Record({ name: Type.String(), endpoint: Type.String(), spiffeId: Type.String() }),
    ),
    egress: Type.Optional(Egress),
    parent: Type.Optional(
      Text("Of an exchange: SHA-256 of the subject token's signing input, base64url."),
    ),
    client: Type.Optional(Text('Of an exchange: who asked.')),
    asked: Type.Optional(
      Record(
        {
          tokenType: Text('Kind of token or certificate.'),
          audience: Text("Whom it is for; '' for a certificate."),
          scope: Type.Optional(Text('Scopes, if some were asked for.')),
        },
        'Of an exchange: what was asked for, whatever came of it.',
      ),
    ),
    actor: Type.Optional(Text('Of an exchange: SPIFFE ID of who acts for the subject.')),
    grant: Type.Optional(Text('Of an exchange: name of the grant that allowed it.')),
    quarantine: Type.Optional(Quarantined),
    orderedBy: Type.Optional(Text('Of an order: who gave it, as they said.')),
  },
  'One exchange with a caller. Every fact that was learned is in it, refused or not; a token or a secret never is.',
)
