import { Type, type TObjectOptions, type TProperties, type TSchema } from 'typebox'

// Besides JSON Schema's own words the schemas use these, which `config/validate.ts` reads:
//   access       of a `file`: 'read', 'write', 'directory', 'later' when it need not be there yet, or 'unchecked' when its user says
//                what is wrong with it
//   holds        of a `file`: 'certificates', 'private-key' or 'json', for `check` to look into
//   expects      what a `pattern` asks for, in words
//   keyExpects   the same for the keys of a map
//   whenMissing  the remedy for a key that is not there, where its description is not enough
//   secret       a `{ file: PATH }` that becomes a `Secret` of what the file holds (contract/secret.ts)

/** An object that knows its keys: anything else in it is a fault. */
export const Strict = <const Properties extends TProperties>(
  properties: Properties,
  options: TObjectOptions = {},
) => Type.Object(properties, { ...options, additionalProperties: false })

/** A schema that is used in several places, with what it is for in this one. */
export const Described = <const Schema extends TSchema>(
  schema: Schema,
  description: string,
): Schema => ({
  ...schema,
  description,
})

const idPattern = '^[a-z0-9][a-z0-9._-]{0,62}$'
const idExpects =
  'up to 63 lower-case letters, digits, `.`, `_` and `-`, beginning with a letter or digit'

/** Ids stand in metrics, records and file names. */
export const Id = (description: string) =>
  Type.String({ pattern: idPattern, expects: idExpects, description })

/** A map whose keys are ids. */
export const Named = <const Value extends TSchema>(value: Value, options: TObjectOptions) =>
  Type.Record(Type.String({ pattern: idPattern }), value, {
    ...options,
    additionalProperties: false,
    keyExpects: idExpects,
  })

/** Names of headers. */
export const HeaderName = (description: string) =>
  Type.String({
    pattern: '^[a-z0-9-]+$',
    expects: 'a header name in lower case: letters, digits and `-`',
    description,
  })

export type FileOptions = {
  readonly access?: 'read' | 'write' | 'directory' | 'later' | 'unchecked'
  readonly holds?: 'certificates' | 'private-key' | 'json'
}

export const File = (description: string, { access = 'read', holds }: FileOptions = {}) =>
  Type.String({
    minLength: 1,
    format: 'file',
    access,
    ...(holds === undefined ? {} : { holds }),
    description: `${description} Relative to the file that names it.`,
  })

export const SpiffeIdText = (description: string) =>
  Type.String({ format: 'spiffe-id', description })

/** `https://HOST:PORT` and nothing after it. */
export const HttpsOrigin = (description: string) =>
  Type.String({ format: 'https-origin', description })

export const Port = (byDefault: number) =>
  Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: byDefault,
    description: 'TCP port; 0 takes a free one.',
  })

export const Address = Type.String({
  default: '127.0.0.1',
  format: 'address',
  description: 'Address to listen on, such as 127.0.0.1, 0.0.0.0 or `::`.',
})

export const AgentSocket = (description: string) =>
  Type.String({
    pattern: '^unix:///[^\\s\\x00-\\x1f]{1,100}$',
    expects: '`unix:///PATH` with the path of a socket',
    description,
  })
