import { Type, type Static } from 'typebox'
import { redisPlace } from '#plugins/redis-options'

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
          ...redisPlace,
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
