import { isDeepStrictEqual } from 'node:util'
import { findFormat } from './formats.ts'
import { chooseKind, type Choice } from './kinds.ts'
import { pointerTo, valueAt } from './pointer.ts'

/** The words of JSON Schema that our schemas use, and those of our own (see `schema/words.ts`). */
export type JsonSchema = {
  readonly type?: 'object' | 'array' | 'string' | 'number' | 'integer' | 'boolean' | 'null'
  readonly const?: unknown
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly JsonSchema[]
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly patternProperties?: Readonly<Record<string, JsonSchema>>
  readonly additionalProperties?: boolean
  readonly required?: readonly string[]
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly items?: JsonSchema
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minLength?: number
  readonly maxLength?: number
  readonly pattern?: string
  readonly format?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly default?: unknown
  readonly description?: string
  readonly expects?: string
  readonly keyExpects?: string
  readonly whenMissing?: string
  readonly secret?: boolean
  readonly access?: 'read' | 'write' | 'directory' | 'later' | 'unchecked'
  readonly holds?: 'certificates' | 'private-key' | 'json'
}

/** What a value violates: a word of its schema, and where that alone does not tell what is wrong, what does. */
export type Violation = { readonly pointer: string; readonly schema: JsonSchema } & (
  | { readonly word: PlainWord }
  | { readonly word: 'required' | 'additionalProperties'; readonly key: string }
  | { readonly word: 'uniqueItems'; readonly index: number }
  | { readonly word: 'anyOf'; readonly choice: Exclude<Choice, { branch: number }> }
)
/** A word whose value in the schema tells what is wrong. */
export type PlainWord =
  | 'type'
  | 'const'
  | 'enum'
  | 'pattern'
  | 'format'
  | 'minimum'
  | 'maximum'
  | `${'min' | 'max'}${'Length' | 'Items' | 'Properties'}`

/** What is told while a value is gone through. */
export type Visitor = {
  readonly violated: (violation: Violation) => void
  readonly file: (pointer: string, schema: JsonSchema) => void
  readonly secret: (pointer: string) => void
  /** The value at a place as it may be shown. */
  readonly show: (pointer: string, value: unknown) => string
}

type Check = (value: unknown, pointer: string, visitor: Visitor) => void

/**
 * Makes of a schema what checks values, fills in defaults (in place), and tells of everything that is wrong at once. An
 * `anyOf` is decided by `chooseKind`. Each part is made when a value first comes to it: of a large schema a configuration
 * uses little, and a start should not wait for the rest.
 *
 * @throws TypeError for a word that is not known here, or a format that is not: nothing may go unchecked.
 */
export const schemaCheck = (schema: JsonSchema): Check => {
  let check: Check | undefined
  return (value, pointer, visitor) => {
    check ??= made(schema)
    check(value, pointer, visitor)
  }
}

const words: ReadonlySet<string> = new Set(
  (
    'type const enum anyOf properties patternProperties additionalProperties required minProperties maxProperties ' +
    'items minItems maxItems uniqueItems minLength maxLength pattern format minimum maximum default ' +
    'description expects keyExpects whenMissing secret access holds'
  ).split(' '),
)

const made = (schema: JsonSchema): Check => {
  for (const word of Object.keys(schema))
    if (!words.has(word)) throw new TypeError(`a schema has a word that is not checked: ${word}`)
  if (schema.anyOf) return kindsCheck(schema, schema.anyOf)
  const { type, secret } = schema
  const constants = 'const' in schema ? [schema.const] : schema.enum
  const inner = innerCheck(schema)
  return (value, pointer, visitor) => {
    if (type !== undefined && !isOfType(value, type)) {
      visitor.violated({ word: 'type', pointer, schema })
    } else {
      if (constants && !constants.includes(value))
        visitor.violated({ word: 'const' in schema ? 'const' : 'enum', pointer, schema })
      if (secret === true) visitor.secret(pointer)
      inner?.(value, pointer, visitor)
    }
  }
}

const isOfType = (value: unknown, type: NonNullable<JsonSchema['type']>): boolean => {
  switch (type) {
    case 'object':
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    case 'array':
      return Array.isArray(value)
    case 'integer':
      return Number.isInteger(value)
    case 'number':
      return Number.isFinite(value)
    case 'null':
      return value === null
    case 'string':
    case 'boolean':
      return typeof value === type
    default:
      return type satisfies never
  }
}

const innerCheck = (schema: JsonSchema): Check | undefined => {
  switch (schema.type) {
    case 'object':
      return objectCheck(schema)
    case 'array':
      return arrayCheck(schema)
    case 'string':
      return textCheck(schema)
    case 'integer':
    case 'number':
      return numberCheck(schema)
    case 'boolean':
    case 'null':
    case undefined:
      return undefined
    default:
      return schema.type satisfies never
  }
}

const kindsCheck = (schema: JsonSchema, branches: readonly JsonSchema[]): Check => {
  const checks = branches.map(schemaCheck)
  return (value, pointer, visitor) => {
    const choice = chooseKind(value, branches, (key) =>
      key === undefined
        ? visitor.show(pointer, value)
        : visitor.show(pointerTo(pointer, key), valueAt(value, pointerTo('', key))),
    )
    if ('branch' in choice) checks[choice.branch]?.(value, pointer, visitor)
    else visitor.violated({ word: 'anyOf', pointer, schema, choice })
  }
}

const objectCheck = (schema: JsonSchema): Check => {
  const { properties = {}, patternProperties = {}, required = [] } = schema
  const { minProperties = 0, maxProperties = Infinity } = schema
  // A map takes no keys but those of its pattern.
  const isClosed = schema.additionalProperties === false || schema.patternProperties !== undefined
  const known = Object.entries(properties).map(
    ([key, inner]) => [key, schemaCheck(inner), inner.default] as const,
  )
  const patterns = Object.entries(patternProperties).map(
    ([pattern, inner]) => [new RegExp(pattern, 'u'), schemaCheck(inner)] as const,
  )
  return (value, pointer, visitor) => {
    const object = value as Record<string, unknown>
    const has = (key: string) => Object.hasOwn(object, key) && object[key] !== undefined
    const written = Object.keys(object)
    for (const [key, , byDefault] of known)
      if (byDefault !== undefined && !has(key)) object[key] = copyOf(byDefault)
    if (written.length < minProperties) visitor.violated({ word: 'minProperties', pointer, schema })
    if (written.length > maxProperties) visitor.violated({ word: 'maxProperties', pointer, schema })
    for (const key of required)
      if (!has(key)) visitor.violated({ word: 'required', pointer, schema, key })
    for (const [key, check] of known)
      if (has(key)) check(object[key], pointerTo(pointer, key), visitor)
    for (const key of written) {
      if (Object.hasOwn(properties, key)) continue
      const fitting = patterns.filter(([pattern]) => pattern.test(key))
      if (isClosed && fitting.length === 0)
        visitor.violated({ word: 'additionalProperties', pointer, schema, key })
      for (const [, check] of fitting) check(object[key], pointerTo(pointer, key), visitor)
    }
  }
}

/** Most defaults are no objects, and 10,000 routes have many. */
const copyOf = (value: unknown): unknown =>
  typeof value === 'object' && value !== null ? structuredClone(value) : value

const arrayCheck = (schema: JsonSchema): Check => {
  const { minItems = 0, maxItems = Infinity, uniqueItems = false } = schema
  const check = schema.items && schemaCheck(schema.items)
  return (value, pointer, visitor) => {
    const items = value as readonly unknown[]
    if (items.length < minItems) visitor.violated({ word: 'minItems', pointer, schema })
    if (items.length > maxItems) visitor.violated({ word: 'maxItems', pointer, schema })
    const index = uniqueItems ? repeatedAt(items) : -1
    if (index >= 0) visitor.violated({ word: 'uniqueItems', pointer, schema, index })
    if (check) items.forEach((item, i) => check(item, pointerTo(pointer, i), visitor))
  }
}

/** The last item that stands there before. */
const repeatedAt = (items: readonly unknown[]): number => {
  const areSimple = items.every((item) => typeof item !== 'object' || item === null)
  if (areSimple && new Set(items).size === items.length) return -1
  return items.findLastIndex((item, i) =>
    items.slice(0, i).some((earlier) => isDeepStrictEqual(earlier, item)),
  )
}

const textCheck = (schema: JsonSchema): Check => {
  const { minLength = 0, maxLength = Infinity, pattern, format } = schema
  const expression = pattern === undefined ? undefined : new RegExp(pattern, 'u')
  const complaintOf = format === undefined ? undefined : formatNamed(format)
  return (value, pointer, visitor) => {
    const text = value as string
    if (text.length > maxLength && lengthOf(text) > maxLength)
      visitor.violated({ word: 'maxLength', pointer, schema })
    if (text.length < 2 * minLength && lengthOf(text) < minLength)
      visitor.violated({ word: 'minLength', pointer, schema })
    if (expression?.test(text) === false) visitor.violated({ word: 'pattern', pointer, schema })
    if (complaintOf?.(text) !== undefined) visitor.violated({ word: 'format', pointer, schema })
    if (format === 'file') visitor.file(pointer, schema)
  }
}

const formatNamed = (name: string) => {
  const format = findFormat(name)
  if (!format) throw new TypeError(`a schema has a format that is not checked: ${name}`)
  return format
}

/** In characters, as JSON Schema counts: each is one or two of JavaScript's. */
const lengthOf = (text: string): number => {
  let length = 0
  for (const _ of text) length++
  return length
}

const numberCheck = (schema: JsonSchema): Check => {
  const { minimum = -Infinity, maximum = Infinity } = schema
  return (value, pointer, visitor) => {
    if ((value as number) > maximum) visitor.violated({ word: 'maximum', pointer, schema })
    if ((value as number) < minimum) visitor.violated({ word: 'minimum', pointer, schema })
  }
}
