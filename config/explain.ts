import type { ErrorObject } from 'ajv'
import { listed, quote, tick, type Complaint, type Finding } from './faults.ts'
import { findFormat } from './formats.ts'
import { describeBranch, type Branch, type Choice } from './kinds.ts'
import { nearest } from './nearest.ts'
import { pointerTo, segmentsOfPointer, valueAt } from './pointer.ts'

type Words = Branch & {
  readonly description?: string
  readonly expects?: string
  readonly keyExpects?: string
  readonly whenMissing?: string
  readonly secret?: boolean
  readonly properties?: Readonly<Record<string, Words>>
}

type Written = (pointer: string) => string | undefined

/** Turns what ajv found into what a person can mend, one finding a place. */
export const explain = (
  errors: readonly ErrorObject[],
  config: unknown,
  written: Written,
): readonly Finding[] => {
  const unknownKeys = errors.filter((error) => error.keyword === 'additionalProperties')
  const found = new Map<string, Finding>()
  for (const error of errors) {
    if (isMisspelt(error, unknownKeys)) continue // the unknown key beside it says so already
    const finding = findingOf(error, config, written)
    if (!found.has(finding.pointer)) found.set(finding.pointer, finding)
  }
  return [...found.values()]
}

const findingOf = (error: ErrorObject, config: unknown, written: Written): Finding => {
  const { instancePath, params } = error
  const schema = (error.parentSchema ?? {}) as Words
  switch (error.keyword) {
    case 'additionalProperties': {
      const key = String(params.additionalProperty)
      return {
        pointer: pointerTo(instancePath, key),
        at: 'key',
        ...(schema.properties === undefined ? {} : { aside: true }),
        ...unknownKey(key, schema),
      }
    }
    case 'required': {
      const key = String(params.missingProperty)
      return { pointer: pointerTo(instancePath, key), at: 'key', ...missingKey(key, schema) }
    }
    case 'uniqueItems': {
      const pointer = pointerTo(instancePath, Math.max(Number(params.i), Number(params.j)))
      const twice = { message: 'this stands in the list twice', remedy: 'keep one of the two' }
      return { pointer, at: 'value', ...labelled(pointer, twice) }
    }
    case 'kinds': {
      const { key, at = 'value', ...complaint } = params as Exclude<Choice, { branch: number }>
      const pointer = key === undefined ? instancePath : pointerTo(instancePath, key)
      return { pointer, at, ...(at === 'key' ? complaint : labelled(pointer, complaint)) }
    }
    default: {
      // Not `error.data`: ajv puts the whole there for what a keyword of ours finds within it.
      const data = valueAt(config, instancePath)
      const complaint = wrongValue(error, schema, data, written(instancePath) ?? data)
      return { pointer: instancePath, at: 'value', ...labelled(instancePath, complaint) }
    }
  }
}

/** Names the key, for a message may be read without the file at hand. */
const labelled = (pointer: string, { message, remedy }: Complaint): Complaint => {
  const segments = segmentsOfPointer(pointer)
  const name = segments.findLast((segment) => !/^\d+$/.test(segment))
  return { message: name === undefined ? message : `${tick(name)}: ${message}`, remedy }
}

const unknownKey = (key: string, { properties, keyExpects }: Words): Complaint => {
  if (properties === undefined)
    return {
      message: `${tick(key)} cannot be a name here`,
      remedy: `use ${keyExpects ?? 'another'}`,
    }
  const known = Object.keys(properties)
  const meant = nearest(key, known)
  const remedy =
    meant === undefined
      ? known.length === 0
        ? 'take it out'
        : `take it out; known here: ${listed(known)}`
      : `did you mean ${tick(meant)}?`
  return { message: `unknown key ${tick(key)}`, remedy }
}

const missingKey = (key: string, { properties }: Words): Complaint => {
  const { whenMissing, description } = properties?.[key] ?? {}
  const said = description === undefined ? '' : `: ${firstSentence(description)}`
  return { message: `${tick(key)} is missing`, remedy: whenMissing ?? `add it${said}` }
}

const firstSentence = (text: string): string => text.replace(/\.( .*)?$/s, '')

const isMisspelt = (error: ErrorObject, unknownKeys: readonly ErrorObject[]): boolean => {
  if (error.keyword !== 'required') return false
  const known = Object.keys((error.parentSchema as Words).properties ?? {})
  return unknownKeys.some(
    ({ instancePath, params }) =>
      instancePath === error.instancePath &&
      nearest(String(params.additionalProperty), known) === error.params.missingProperty,
  )
}

/** @param asWritten What may be shown of the value: with its variables not filled in. */
const wrongValue = (
  error: ErrorObject,
  schema: Words,
  data: unknown,
  asWritten: unknown,
): Complaint => {
  const { keyword, params } = error
  const shown = quote(asWritten)
  const limit = String(params.limit)
  switch (keyword) {
    case 'type':
      if (schema.secret === true)
        return {
          message: 'a secret does not stand in the configuration',
          remedy: 'put it into a file of its own and write `{ file: PATH }`',
        }
      return data === null
        ? { message: 'nothing stands here', remedy: `write ${describe(schema)}` }
        : { message: `${shown} is not ${describe(schema)}`, remedy: typeRemedy(asWritten, schema) }
    case 'enum':
    case 'const': {
      const words =
        keyword === 'const' ? [params.allowedValue] : (params.allowedValues as unknown[])
      const meant = nearest(String(data), words.map(String))
      const remedy =
        meant === undefined
          ? `use ${listed(words.map(String), 'or')}`
          : `did you mean ${tick(meant)}?`
      return { message: `${shown} is not known here`, remedy }
    }
    case 'minimum':
      return { message: `${shown} is too small`, remedy: `use ${limit} or more` }
    case 'maximum':
      return { message: `${shown} is too large`, remedy: `use ${limit} or less` }
    case 'minLength':
      return { message: 'this is empty', remedy: `write ${describe(schema)}` }
    case 'maxLength':
      return { message: 'this is too long', remedy: `use up to ${limit} characters` }
    case 'minItems':
      return { message: 'the list is too short', remedy: `name at least ${limit}` }
    case 'minProperties': // of secrets alone
    case 'maxProperties':
      return {
        message: 'a secret stands in one place',
        remedy: 'write `{ file: PATH }` or `{ env: NAME }`',
      }
    case 'maxItems':
      return { message: 'the list is too long', remedy: `name up to ${limit}` }
    case 'pattern':
      return {
        message: `${shown} cannot stand here`,
        remedy: `use ${schema.expects ?? `what fits ${String(params.pattern)}`}`,
      }
    case 'format': {
      const complaint = findFormat(schema.format ?? '')?.(String(data))
      return {
        message: `${shown} ${complaint?.message ?? 'is not right'}`,
        remedy: complaint?.remedy ?? 'mend it',
      }
    }
    default:
      return { message: `${shown}: ${error.message ?? keyword}`, remedy: 'mend it' }
  }
}

const describe = (schema: Words): string => {
  switch (schema.type) {
    case 'integer':
      return 'a whole number'
    case 'boolean':
      return '`true` or `false`'
    default:
      return describeBranch(schema)
  }
}

const typeRemedy = (asWritten: unknown, schema: Words): string => {
  if (schema.type === 'string' && ['number', 'boolean'].includes(typeof asWritten))
    return `put it in quotes: ${quote(asWritten)}`
  if (typeof asWritten !== 'string') return `write ${describe(schema)}`
  if (schema.type === 'string') return `put it in quotes: ${quote(asWritten)}`
  return schema.type === 'array' ? 'write a list: [A, B]' : `write ${describe(schema)}`
}
