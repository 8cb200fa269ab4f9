import { Type, type Static } from 'typebox'

const modes = ['enforce', 'detect', 'off'] as const

/** A rule, or what a rule looks at, that is not wanted. */
export const WafExclusion = Type.Object(
  {
    rule: Type.Optional(
      Type.String({
        pattern: '^\\d{1,12}(-\\d{1,12})?$',
        description: 'Id of the rule, or a range of ids: `942100`, `942100-942199`.',
      }),
    ),
    tag: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Tag of the rules, such as `attack-sqli`. Exactly one of `rule` and `tag` is given.',
      }),
    ),
    target: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'What these rules shall not look at: `ARGS:password`, `ARGS:json.items.*.html`, `REQUEST_COOKIES:/^_ga/`, or a whole variable. Without it the rules do not run at all.',
      }),
    ),
    reason: Type.Optional(
      Type.String({ description: 'Why, for whoever reads the configuration next.' }),
    ),
  },
  { additionalProperties: false },
)
export type WafExclusion = Static<typeof WafExclusion>

const paranoia = (description: string) => Type.Integer({ minimum: 1, maximum: 4, description })
const mode = Type.Enum([...modes], {
  description:
    '`enforce` refuses what the rules refuse, `detect` only records it, `off` looks at nothing.',
})
const samplingPercent = Type.Number({
  minimum: 0,
  maximum: 100,
  description: 'Share of the requests that are looked at. To begin with a rule set in small steps.',
})
const responses = Type.Boolean({
  description:
    'Whether answers are looked at too, for leaks. Their bodies are held back up to `limits.maxResponseBodyBytes`; event streams, gRPC and types that no rule wants pass untouched.',
})

/** What one route may say differently. */
export const RouteWafOptions = Type.Object(
  {
    mode: Type.Optional(mode),
    paranoia: Type.Optional(
      paranoia('Paranoia level of CRS: 1 is for everybody, 4 refuses much that is harmless.'),
    ),
    exclusions: Type.Optional(
      Type.Array(WafExclusion, {
        maxItems: 1000,
        description: 'Besides those that hold for all routes.',
      }),
    ),
    samplingPercent: Type.Optional(samplingPercent),
    responses: Type.Optional(responses),
    overLimit: Type.Optional(
      Type.Enum(['refuse', 'inspect-part'], {
        description:
          'What becomes of a request that exceeds a limit: it is refused, or only its first part is looked at.',
      }),
    ),
  },
  { additionalProperties: false },
)
export type RouteWafOptions = Static<typeof RouteWafOptions>

/** The web application firewall. */
export const WafOptions = Type.Object(
  {
    mode: Type.Enum([...modes], { ...mode, default: 'enforce' }),
    crs: Type.Optional(
      Type.String({
        minLength: 1,
        format: 'file',
        access: 'unchecked', // a folder; what is wrong with it, loading it says
        description:
          'Folder of an OWASP Core Rule Set: an unpacked release, `/usr/share/modsecurity-crs`, or the Go module coraza-coreruleset. Without it the small base rules that come with Sallyport are used.',
      }),
    ),
    ruleFiles: Type.Array(Type.String({ minLength: 1, format: 'file', access: 'unchecked' }), {
      default: [],
      maxItems: 100,
      description: 'SecLang files of your own, or globs, that come after the rules.',
    }),
    paranoia: Type.Integer({
      minimum: 1,
      maximum: 4,
      default: 1,
      description: 'Paranoia level of CRS: 1 is for everybody, 4 refuses much that is harmless.',
    }),
    detectionParanoia: Type.Optional(
      paranoia(
        'Rules up to this level run and are recorded, but only those up to `paranoia` count.',
      ),
    ),
    inboundThreshold: Type.Integer({
      minimum: 1,
      default: 5,
      description: 'Anomaly score from which a request is refused. One critical match scores 5.',
    }),
    outboundThreshold: Type.Integer({
      minimum: 1,
      default: 4,
      description: 'Anomaly score from which an answer is withheld.',
    }),
    earlyBlocking: Type.Boolean({
      default: false,
      description: 'Whether what the head alone scores is judged before the body is read.',
    }),
    methods: Type.Array(Type.String({ pattern: '^[A-Z]{1,20}$' }), {
      default: ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT', 'PATCH', 'DELETE'],
      maxItems: 50,
      description: 'Methods that rules accept.',
    }),
    contentTypes: Type.Array(Type.String({ pattern: '^[a-z0-9.+-]+/[a-z0-9.+-]+$' }), {
      default: [
        'application/x-www-form-urlencoded',
        'multipart/form-data',
        'text/xml',
        'application/xml',
        'application/soap+xml',
        'application/json',
      ],
      maxItems: 100,
      description:
        'Types of bodies that CRS accepts. The base rules take any, and look at all that is text.',
    }),
    exclusions: Type.Array(WafExclusion, {
      default: [],
      maxItems: 10_000,
      description: 'Rules that are not wanted, on any route. One that names no rule is a fault.',
    }),
    samplingPercent: Type.Number({ ...samplingPercent, default: 100 }),
    responses: Type.Boolean({ ...responses, default: false }),
    overLimit: Type.Enum(['refuse', 'inspect-part'], {
      default: 'refuse',
      description:
        'What becomes of a request that exceeds a limit: it is refused, or only its first part is looked at.',
    }),
    limits: Type.Object(
      {
        maxBodyBytes: Type.Integer({
          minimum: 1024,
          maximum: 262_144,
          default: 131_072,
          description:
            'Bytes of a request body that are held back and looked at. No more can be had, as other requests would have to wait: where larger bodies are expected, `overLimit: inspect-part`.',
        }),
        maxValueBytes: Type.Integer({
          minimum: 256,
          maximum: 131_072,
          default: 65_536,
          description: 'Bytes of one argument, header, cookie, attribute or name.',
        }),
        maxArguments: Type.Integer({
          minimum: 1,
          maximum: 10_000,
          default: 1000,
          description: 'Arguments of query and body together.',
        }),
        maxDepth: Type.Integer({
          minimum: 1,
          maximum: 10_000,
          default: 512,
          description: 'How deep JSON and XML may nest.',
        }),
        maxResponseBodyBytes: Type.Integer({
          minimum: 1024,
          maximum: 524_288,
          default: 131_072,
          description: 'Bytes of an answer that are held back and looked at.',
        }),
      },
      { additionalProperties: false, default: {}, description: 'Bounds on what is looked at.' },
    ),
  },
  { additionalProperties: false, default: {} },
)
export type WafOptions = Static<typeof WafOptions>
