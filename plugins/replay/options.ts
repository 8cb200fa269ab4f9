import { Type, type Static } from 'typebox'
import { secretFileSchema, type Secret } from '#contract/secret'

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
          url: Type.Unsafe<Secret<string>>(
            secretFileSchema(
              'URL of one Redis server, `redis://` or `rediss://` with its password.',
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
          description: 'Shared by all replicas. Without it each remembers for itself.',
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
