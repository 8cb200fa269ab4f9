import { isDeepStrictEqual } from 'node:util'
import { ExchangeConfig, GatewayConfig } from '#config/schema'
import { requiredKeys } from './json-schema.ts'
import { cell, row } from './markdown.ts'
import { code, typeInWords, valueOfMap, type Words } from './type-words.ts'

const introduction = `# Configuration

Generated from \`config/schema.ts\` by \`npm run docs\`. Begin with the examples: [gateway](../../config/gateway.example.yaml),
[exchange](../../config/exchange.example.yaml), and [what they share](../../config/shared.example.yaml).
\`sallyport check FILE…\` finds every fault at once; editors that know YAML can use
[config.gateway.schema.json](config.gateway.schema.json) and [config.exchange.schema.json](config.exchange.schema.json).

- A file is YAML 1.2. Unknown keys are faults. What has a default need not be written.
- \`include: [FILE, …]\` at the top of a file brings in the keys of others. A key stands in one file only; nothing overrides.
- \`\${NAME}\` and \`\${NAME:-default}\` in a value are filled in from the environment; \`$\${\` is a literal \`\${\`. An unset
  variable without a default is a fault. Without quotes, what is filled in is read as YAML would read it: a number, \`true\` or
  \`false\`, else text.
- A file that is named is relative to the file that names it.
- A secret stands in a file of its own and is written \`{ file: PATH }\`, or in an environment variable, \`{ env: NAME }\`.
- Settings that take protection away stand under \`unsafe:\`, are named by the harm, and warn at start.
`

/** The reference of every setting. */
export const configPage = (): string => {
  const gateway = (GatewayConfig as unknown as Words).properties ?? {}
  const exchange = (ExchangeConfig as unknown as Words).properties ?? {}
  const isShared = ([key, schema]: [string, Words]) => isDeepStrictEqual(exchange[key], schema)
  const isOwn = (entry: [string, Words]) => !isShared(entry)
  const part = (title: string, words: string, schema: object, entries: [string, Words][]) => {
    const properties = Object.fromEntries(entries)
    const path = { title, keys: '' }
    return `## ${title}\n\n${words}\n\n${sections(path, { ...(schema as Words), properties }).join('\n')}`
  }
  const both = Object.entries(gateway).filter(isShared)
  const sharedKeys = new Set(both.map(([key]) => key))
  return [
    introduction,
    part('Both', 'In a configuration of either kind.', GatewayConfig, both),
    part('Gateway', 'Besides those of both.', GatewayConfig, Object.entries(gateway).filter(isOwn)),
    part(
      'Exchange',
      'Besides those of both.',
      ExchangeConfig,
      Object.entries(exchange).filter(([key]) => !sharedKeys.has(key)),
    ),
  ].join('\n')
}

/** Where a section belongs: its part of the page, and its keys in the configuration. */
type Path = { readonly title: string; readonly keys: string }

const below = ({ title, keys }: Path, key: string): Path => ({
  title,
  keys: keys === '' ? key : `${keys}.${key}`,
})

/** A table of the keys at a path, then the sections of what lies below. */
const sections = (path: Path, schema: Words): string[] => {
  const heading = path.keys === '' ? [] : [`### ${path.title}: \`${path.keys}\`\n`]
  const words = path.keys === '' ? [] : [`${schema.description ?? ''}\n`]
  const branches = schema.anyOf?.filter(({ properties }) => properties !== undefined) ?? [schema]
  return [
    ...heading,
    ...words,
    ...branches.map((branch, i) => `${i === 0 ? '' : 'or\n\n'}${table(path, branch)}`),
    ...branches.flatMap(({ properties = {} }) =>
      Object.entries(properties).flatMap(([key, property]) => {
        const found = withKeys(below(path, key), property)
        return found === undefined ? [] : sections(found.path, found.schema)
      }),
    ),
  ]
}

/** The mapping, or the lists' or map's mapping, that has a section of its own. */
const withKeys = (
  path: Path,
  schema: Words,
): { readonly path: Path; readonly schema: Words } | undefined => {
  if (schema.secret === true) return undefined
  const value = valueOfMap(schema)
  if (value !== undefined) return withKeys(below(path, 'NAME'), value)
  if (schema.type === 'array')
    return withKeys({ ...path, keys: `${path.keys}[]` }, schema.items ?? {})
  const hasKeys = [schema, ...(schema.anyOf ?? [])].some(
    ({ properties }) => properties !== undefined,
  )
  return hasKeys ? { path, schema } : undefined
}

const table = (path: Path, schema: Words): string => {
  const required = requiredKeys(schema)
  const rows = Object.entries(schema.properties ?? {}).map(([key, property]) => {
    const section = withKeys(below(path, key), property)
    const type = typeInWords(property)
    return row([
      code(key),
      section === undefined ? type : `[${type}](#${slug(section.path)})`,
      defaultOf(property, required.includes(key)),
      cell(property.description ?? ''),
    ])
  })
  return [row(['key', 'type', 'default', '']), row(['---', '---', '---', '---']), ...rows, ''].join(
    '\n',
  )
}

/** The anchor that GitHub gives a heading. */
const slug = ({ title, keys }: Path): string =>
  `${title}: ${keys}`
    .toLowerCase()
    .replaceAll(/[^a-z0-9 _-]/g, '')
    .replaceAll(' ', '-')

const defaultOf = (schema: Words, isRequired: boolean): string => {
  if (isRequired) return '**required**'
  if (schema.default === undefined) return ''
  return isDeepStrictEqual(schema.default, {}) && schema.properties !== undefined
    ? 'those below'
    : code(schema.default)
}
