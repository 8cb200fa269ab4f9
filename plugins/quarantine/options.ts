import { Type, type Static } from 'typebox'
import { redisPlace } from '#plugins/redis-options'

/** Where it is kept who is cut off. */
export const QuarantineOptions = Type.Object(
  {
    maxEntries: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      default: 100_000,
      description: 'More are not taken. 100,000 take about 80 MB.',
    }),
    file: Type.Optional(
      Type.String({
        minLength: 1,
        format: 'file',
        access: 'write',
        description:
          'Keeps the list over a restart. With `redis` it is what this gateway begins with while Redis is away; without it a gateway that starts then refuses all until it knows the list. One file for each gateway. Relative to the file that names it.',
      }),
    ),
    redis: Type.Optional(
      Type.Object(
        {
          ...redisPlace,
          list: Type.String({
            pattern: '^[a-z0-9][a-z0-9._-]{0,62}$',
            expects:
              'up to 63 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit',
            default: 'quarantine',
            description: 'Name of the list: gateways with the same one share it.',
          }),
          timeoutMs: Type.Integer({
            minimum: 10,
            maximum: 10_000,
            default: 1000,
            description: 'Longest wait for an answer of it. No request waits for it.',
          }),
        },
        {
          additionalProperties: false,
          description:
            'Shared by all gateways: whoever is cut off at one is within a second at all. It must not evict (`maxmemory-policy noeviction`). While it is away the list that was last known stays in force and cannot be changed.',
        },
      ),
    ),
  },
  {
    additionalProperties: false,
    default: {},
    description: 'Where it is kept who is cut off: in memory, unless said otherwise.',
  },
)
export type QuarantineOptions = Static<typeof QuarantineOptions>
