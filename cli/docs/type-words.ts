import { isSchema } from './json-schema.ts'

export type Words = {
  readonly type?: string
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly format?: string
  readonly description?: string
  readonly default?: unknown
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly secret?: boolean
  readonly keyExpects?: string
  readonly required?: readonly string[]
  readonly properties?: Readonly<Record<string, Words>>
  readonly patternProperties?: Readonly<Record<string, Words>>
  readonly items?: Words
  readonly anyOf?: readonly Words[]
}

const formatWords: Readonly<Record<string, string>> = {
  file: 'file',
  'trust-domain': 'trust domain',
  'spiffe-id': 'SPIFFE ID',
  'spiffe-id-template': 'SPIFFE ID with `{claim}`',
  url: 'URL',
  'https-url': 'https URL',
  'https-origin': '`https://HOST:PORT`',
  host: 'host',
  'host-pattern': 'host, or `*.` and a host',
  address: 'IP address',
  cidr: 'network',
  'route-path': 'path',
  'route-prefix': 'path',
  'route-pattern': 'path with `*`',
}

/** A type in words, for a table of the reference. */
export const typeInWords = (schema: Words): string => {
  if ('const' in schema) return code(schema.const)
  if (schema.enum !== undefined) return schema.enum.map(code).join(', ')
  if (schema.anyOf !== undefined) return [...new Set(schema.anyOf.map(typeInWords))].join(' or ')
  if (schema.secret === true) return 'secret: `{ file: PATH }` or `{ env: NAME }`'
  switch (schema.type) {
    case 'string':
      return formatWords[schema.format ?? ''] ?? 'text'
    case 'integer':
    case 'number':
      return `${schema.type === 'integer' ? 'whole number' : 'number'}${rangeInWords(schema)}`
    case 'boolean':
      return '`true` or `false`'
    case 'array':
      return `list${(schema.minItems ?? 0) > 0 ? ' (not empty)' : ''} of ${several(typeInWords(schema.items ?? {}))}`
    case 'object': {
      const value = valueOfMap(schema)
      if (value !== undefined) return `${several(typeInWords(value))} by name`
      return 'mapping'
    }
    default:
      return 'anything'
  }
}

/** The plural, where it is a word. */
const several = (words: string): string =>
  /^(mapping|network|file|host|path)$/.test(words) ? `${words}s` : words

const rangeInWords = ({ minimum, maximum }: Words): string => {
  if (minimum === undefined) return maximum === undefined ? '' : `, up to ${maximum}`
  return maximum === undefined ? `, from ${minimum}` : `, ${minimum} to ${maximum}`
}

/** What the values of a map are, if the schema is one. */
export const valueOfMap = ({ patternProperties }: Words): Words | undefined =>
  isSchema(patternProperties) ? Object.values(patternProperties)[0] : undefined

export const code = (value: unknown): string =>
  `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``
