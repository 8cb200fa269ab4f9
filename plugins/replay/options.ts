import { Type, type Static } from 'typebox'
import { redisPlace } from '#plugins/redis-options'

/** Where it is remembered what was used and must not be used again. */
export const ReplayOptions = Type.Object(
  {
    maxEntries: Type.Integer({
      minimum: 1024,
      maximum: 4_194_304,
      default: 131_072,
      description:
        'Remembered at once in memory. When it is full nothing that is good once is taken.',
    }),
    redis: Type.Optional(
      Type.Object(
        {
          ...redisPlace,
          timeoutMs: Type.Integer({
            minimum: 1,
            maximum: 5000,
            default: 200,
            description: 'Longest wait for it.',
          }),
          whenAway: Type.Enum(['refuse', 'memory'], {
            default: 'refuse',
            description:
              '`refuse` takes nothing that is good once; `memory` remembers in this process alone meanwhile, so another replica could take it again.',
          }),
        },
        {
          additionalProperties: false,
          description:
            'Shared by all replicas. Without it each remembers for itself. When a master dies, what was used in its last moments and had not reached its replica may be taken once more.',
        },
      ),
    ),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'Where it is remembered what was used and must not be used again.',
  },
)
export type ReplayOptions = Static<typeof ReplayOptions>
