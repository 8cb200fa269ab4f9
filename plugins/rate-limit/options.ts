import { Type, type Static } from 'typebox'
import { secretFileSchema, type Secret } from '#contract/secret'

/** How much one key may ask for. */
export const RateLimitOptions = Type.Object(
  {
    points: Type.Integer({ minimum: 1, description: 'Requests one key may make in a window.' }),
    windowSeconds: Type.Integer({
      minimum: 1,
      maximum: 86_400,
      default: 60,
      description: 'Length of a window.',
    }),
    mode: Type.Enum(['enforce', 'report'], {
      default: 'enforce',
      description: '`report` lets everything through and records what would have been refused.',
    }),
  },
  { additionalProperties: false },
)
export type RateLimitOptions = Static<typeof RateLimitOptions>

/** Where limits are counted. */
export const RateLimitStoreOptions = Type.Object(
  {
    memorySlots: Type.Integer({
      minimum: 1024,
      maximum: 4_194_304,
      default: 65_536,
      description:
        'Keys counted at once in memory, in two tables of this size: one for addresses, one for callers and routes. A bound whatever their number: 65,536 take about 30 MB when full.',
    }),
    redis: Type.Optional(
      Type.Object(
        {
          url: Type.Unsafe<Secret<string>>(
            secretFileSchema(
              'URL of one Redis server, `redis://NAME:PASSWORD@HOST:PORT/NUMBER`, or `rediss://` for TLS. Where `topology` is another, URLs of sentinels or of some nodes of the cluster, one a line.',
            ),
          ),
          topology: Type.Enum(['single', 'sentinel', 'cluster'], {
            default: 'single',
            description:
              'One server; the master that sentinels name, with name, password and number of the URLs; or a cluster.',
          }),
          masterName: Type.Optional(
            Type.String({
              minLength: 1,
              description: 'By which the sentinels know the master. With `topology: sentinel`.',
            }),
          ),
          sentinelPassword: Type.Optional(
            Type.Unsafe<Secret<string>>(
              secretFileSchema('Password of the sentinels, if they want one.'),
            ),
          ),
          caFile: Type.Optional(
            Type.String({
              minLength: 1,
              format: 'file',
              holds: 'certificates',
              description:
                'PEM certificates to trust for `rediss://` instead of the public ones. Relative to the file that names it.',
            }),
          ),
          timeoutMs: Type.Integer({
            minimum: 1,
            maximum: 5000,
            default: 50,
            description: 'Longest wait for it; after that the limit in memory decides.',
          }),
        },
        {
          additionalProperties: false,
          description: 'Shared by all gateways. Without it each counts for itself.',
        },
      ),
    ),
  },
  { additionalProperties: false, default: {}, description: 'Where limits are counted.' },
)
export type RateLimitStoreOptions = Static<typeof RateLimitStoreOptions>
