type JsonSchema = Readonly<Record<string, unknown>>

const draft = 'http://json-schema.org/draft-07/schema#' // the one that editors of YAML know

/** Words of our own, which say nothing to others (config/schema/words.ts). */
const ownWords = new Set(['access', 'holds', 'expects', 'keyExpects', 'whenMissing', 'secret'])

/** A schema as others may use it: plain JSON Schema, without our own words. */
export const publishedSchema = (schema: object, title: string): JsonSchema => ({
  $schema: draft,
  title,
  ...plain(schema as JsonSchema),
})

/**
 * The schema of one configuration file. It may include others, and then what is missing may stand there.
 */
export const configFileSchema = (schema: object, title: string): JsonSchema => {
  const { required, properties, ...rest } = publishedSchema(schema, title)
  return {
    ...rest,
    properties: {
      include: {
        type: 'array',
        items: { type: 'string', minLength: 1 },
        description: 'Files whose keys belong to this one. Relative to the file that names them.',
      },
      ...(properties as JsonSchema),
    },
    anyOf: [{ required: ['include'] }, { required }],
  }
}

const plain = (schema: JsonSchema): JsonSchema => {
  const result: Record<string, unknown> = {}
  for (const [word, value] of Object.entries(schema)) if (!ownWords.has(word)) result[word] = value
  if (isSchema(schema.properties)) {
    result.properties = mapValues(schema.properties, plain)
    result.required = requiredKeys(schema)
  }
  if (isSchema(schema.patternProperties))
    result.patternProperties = mapValues(schema.patternProperties, plain)
  if (isSchema(schema.items)) result.items = plain(schema.items)
  if (Array.isArray(schema.anyOf)) result.anyOf = schema.anyOf.map(plain)
  return result
}

/** What has a default need not be written. */
export const requiredKeys = ({ required, properties }: JsonSchema): readonly string[] =>
  ((required ?? []) as readonly string[]).filter((key) => {
    const property = isSchema(properties) ? properties[key] : undefined
    return !isSchema(property) || !('default' in property)
  })

export const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const mapValues = (schemas: JsonSchema, change: (schema: JsonSchema) => JsonSchema): JsonSchema =>
  Object.fromEntries(
    Object.entries(schemas).map(([key, value]) => [key, change(value as JsonSchema)]),
  )
