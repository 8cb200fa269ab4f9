import { Type, type Static } from 'typebox'
import { secretFileSchema, type Secret } from '#contract/secret'

/** Where spans go, and how many. */
export const TracingOptions = Type.Object(
  {
    endpoint: Type.String({
      pattern:
        '^(https://[^/?#@\\s]+|http://(localhost|127\\.0\\.0\\.1|\\[::1\\])(:[0-9]{1,5})?)/[^?#\\s]*$',
      expects:
        '`https://HOST:PORT/v1/traces`, or `http://` to this machine: spans tell who calls whom',
      description: 'Where a collector takes OTLP over HTTP, with its path: `…/v1/traces`.',
    }),
    caFile: Type.Optional(
      Type.String({
        minLength: 1,
        format: 'file',
        holds: 'certificates',
        description:
          'PEM certificates to trust for it instead of the public ones. Relative to the file that names it.',
      }),
    ),
    authorization: Type.Optional(
      Type.Unsafe<Secret<string>>(
        secretFileSchema('Value of the `Authorization` header, if the collector wants one.'),
      ),
    ),
    serviceName: Type.String({
      minLength: 1,
      maxLength: 64,
      default: 'sallyport-gateway',
      description: '`service.name` of its spans.',
    }),
    sampleRatio: Type.Number({
      minimum: 0,
      maximum: 1,
      default: 0.01,
      description:
        'Share of the traces that are taken. Refused, failed and slow requests are kept besides.',
    }),
    maxSampledPerSecond: Type.Integer({
      minimum: 1,
      default: 100,
      description: 'Bound of the traces taken by share, whatever their share.',
    }),
    maxKeptPerSecond: Type.Integer({
      minimum: 1,
      default: 500,
      description:
        'Bound of those kept besides, so that a flood of refused requests does not flood the collector. Those beyond are counted.',
    }),
    slowMs: Type.Integer({
      minimum: 1,
      default: 2000,
      description: 'A request that takes longer is kept.',
    }),
    maxQueuedSpans: Type.Integer({
      minimum: 512,
      maximum: 65_536,
      default: 4096,
      description: 'Spans held while the collector is slow or away. Those beyond are counted.',
    }),
    continueIssuers: Type.Array(Type.String(), {
      default: [],
      uniqueItems: true,
      description:
        "Names of the issuers whose callers' traces are continued. All others get a new trace that has a link to theirs.",
    }),
  },
  {
    additionalProperties: false,
    description:
      'OpenTelemetry: one server span a request, sent to a collector. Off where it is absent; `traceparent` then passes as it came.',
  },
)
export type TracingOptions = Static<typeof TracingOptions>
