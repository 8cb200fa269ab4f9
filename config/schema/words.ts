import { Type, type TObjectOptions, type TProperties } from 'typebox'

/** An object that knows its keys: anything else in it is a fault. */
export const Strict = <const Properties extends TProperties>(
  properties: Properties,
  options: TObjectOptions = {},
) => Type.Object(properties, { ...options, additionalProperties: false })

/** Ids stand in metrics, records and file names. */
export const Id = (description: string) =>
  Type.String({ pattern: '^[a-z0-9][a-z0-9._-]{0,62}$', description })

export const File = (description: string) =>
  Type.String({
    minLength: 1,
    description: `${description} Relative to the file that names it.`,
    format: 'file',
  })

export const SpiffeIdText = (description: string) =>
  Type.String({ format: 'spiffe-id', description })

export const HttpsUrl = (description: string) => Type.String({ format: 'https-url', description })

export const Port = (byDefault: number) =>
  Type.Integer({
    minimum: 0,
    maximum: 65535,
    default: byDefault,
    description: 'TCP port; 0 takes a free one.',
  })

export const Address = Type.String({
  default: '127.0.0.1',
  minLength: 1,
  description: 'Address to listen on, such as 127.0.0.1, 0.0.0.0 or `::`.',
})
