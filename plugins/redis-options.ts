import { Type } from 'typebox'
import { secretFileSchema, type Secret } from '#contract/secret'

/** Where a Redis is that is shared: `url`, and which kind it is. */
export const redisPlace = {
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
    Type.Unsafe<Secret<string>>(secretFileSchema('Password of the sentinels, if they want one.')),
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
}
