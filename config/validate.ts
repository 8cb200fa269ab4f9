import { Ajv, type ErrorObject, type ValidateFunction } from 'ajv'
import { explain } from './explain.ts'
import { quote, type Finding } from './faults.ts'
import { formats } from './formats.ts'
import { chooseKind, type Branch } from './kinds.ts'
import { pointerTo, valueAt } from './pointer.ts'

type JsonSchema = Readonly<Record<string, unknown>>

/** A file that a configuration names, or a secret that stands in one. */
export type NamedFile = {
  readonly pointer: string
  readonly access: 'read' | 'write' | 'directory' | 'later' | 'unchecked'
  readonly holds: 'certificates' | 'private-key' | 'json' | undefined
}

export type Shape = {
  readonly findings: readonly Finding[]
  readonly files: readonly NamedFile[]
  /** Pointers to the `{ file: PATH }` and `{ env: NAME }` mappings that become secrets. */
  readonly secrets: readonly string[]
}

type Check = {
  (this: Notes, ...args: Parameters<ValidateFunction>): boolean
  errors?: Partial<ErrorObject>[]
}

/** What the keywords of our own know and write down while ajv goes through a configuration. */
type Notes = {
  readonly files: NamedFile[]
  readonly secrets: string[]
  readonly written: Written
}

/** A value as it was written, where it has variables: what they hold is not shown. */
type Written = (pointer: string) => string | undefined

/**
 * Checks a configuration against its schema, fills in defaults (in place), and notes which of its values are files and
 * secrets.
 */
export const validate = (schema: object, config: unknown, written: Written): Shape => {
  const notes: Notes = { files: [], secrets: [], written }
  const check = compiled(schema)
  check.call(notes, config)
  const { files, secrets } = notes
  return { files, secrets, findings: explain(check.errors ?? [], config, written) }
}

/** Compiling takes longer than checking, and a schema never changes: once a process is enough. */
const checks = new WeakMap<object, ValidateFunction>()

const compiled = (schema: object): ValidateFunction => {
  const check = checks.get(schema) ?? validator().compile(prepared(schema as JsonSchema))
  checks.set(schema, check)
  return check
}

const validator = (): Ajv => {
  const ajv = new Ajv({
    allErrors: true,
    useDefaults: true,
    verbose: true, // the schema beside each error, for its own words
    passContext: true,
    strictTypes: false,
    strictRequired: false,
    // Of a check that is run once or twice, most is what makes it. That the schema is one, a test of its reference sees.
    code: { optimize: false },
    validateSchema: false,
    meta: false,
    formats: Object.fromEntries(
      Object.entries(formats).map(([name, format]) => [
        name,
        (text: string) => format(text) === undefined,
      ]),
    ),
  })
  for (const word of ['access', 'holds', 'expects', 'keyExpects', 'whenMissing'])
    ajv.addKeyword(word)
  ajv.addKeyword({
    keyword: 'noteFile',
    schemaType: 'object',
    type: 'string',
    validate(this: Notes, { access, holds }: NamedFile, _data: unknown, _parent, context): boolean {
      this.files.push({ pointer: context?.instancePath ?? '', access, holds })
      return true
    },
  })
  ajv.addKeyword({
    keyword: 'secret',
    schemaType: 'boolean',
    type: 'object',
    validate(this: Notes, _is: boolean, _data: unknown, _parent, context): boolean {
      this.secrets.push(context?.instancePath ?? '')
      return true
    },
  })
  ajv.addKeyword({
    keyword: 'kinds',
    schemaType: 'array',
    errors: 'full',
    compile: (branches: readonly Branch[], parentSchema) => {
      // Of many kinds of a thing a configuration has few: each is compiled when it is met.
      const checks = branches.map((branch) => once(() => ajv.compile(branch)))
      const check: Check = function (this: Notes, value, context) {
        const at = context?.instancePath ?? ''
        const choice = chooseKind(value, branches, (key) => {
          const pointer = key === undefined ? at : pointerTo(at, key)
          const shown = key === undefined ? value : valueAt(value, pointerTo('', key))
          return quote(this.written(pointer) ?? shown)
        })
        if (!('branch' in choice)) {
          check.errors = [{ keyword: 'kinds', instancePath: at, params: choice, parentSchema }]
          return false
        }
        const chosen = checks[choice.branch]?.()
        const isRight = chosen?.call(this, value, context) === true
        check.errors = (chosen?.errors ?? []) satisfies ErrorObject[]
        return isRight
      }
      return check
    },
  })
  return ajv
}

/**
 * The schema as it is checked: `anyOf` is decided by `chooseKind`, files are noted, what has a default need not be there,
 * and a map takes no keys but those of its pattern.
 */
const prepared = (schema: JsonSchema): JsonSchema => {
  const { anyOf, ...rest } = schema
  const result: Record<string, unknown> = { ...rest }
  if (Array.isArray(anyOf)) result.kinds = anyOf.map(prepared)
  if (schema.format === 'file')
    result.noteFile = { access: schema.access ?? 'read', holds: schema.holds }
  for (const word of ['properties', 'patternProperties'] as const)
    if (isSchema(schema[word])) {
      const inner = Object.entries(schema[word])
      result[word] = Object.fromEntries(
        inner.map(([key, value]) => [key, prepared(value as JsonSchema)]),
      )
    }
  if (isSchema(schema.patternProperties)) result.additionalProperties ??= false
  if (isSchema(schema.items)) result.items = prepared(schema.items)
  return result
}

const once = <Value>(make: () => Value): (() => Value) => {
  let made: Value | undefined
  return () => (made ??= make())
}

const isSchema = (value: unknown): value is JsonSchema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
