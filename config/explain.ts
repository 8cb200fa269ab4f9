import { listed, quote, tick, type Complaint, type Finding } from './faults.ts'
import { findFormat } from './formats.ts'
import { describeBranch } from './kinds.ts'
import { nearest } from './nearest.ts'
import { pointerTo, segmentsOfPointer, valueAt } from './pointer.ts'
import type { JsonSchema, PlainWord, Violation } from './schema-check.ts'

type Written = (pointer: string) => string | undefined

/** Turns what a schema objects to into what a person can mend, one finding a place. */
export const explain = (
  violations: readonly Violation[],
  config: unknown,
  written: Written,
): readonly Finding[] => {
  const unknownKeys = violations.filter(({ word }) => word === 'additionalProperties')
  const found = new Map<string, Finding>()
  for (const violation of violations) {
    if (isMisspelt(violation, unknownKeys)) continue // the unknown key beside it says so already
    const finding = findingOf(violation, config, written)
    if (!found.has(finding.pointer)) found.set(finding.pointer, finding)
  }
  return [...found.values()]
}

const findingOf = (violation: Violation, config: unknown, written: Written): Finding => {
  const { pointer: at, schema } = violation
  switch (violation.word) {
    case 'additionalProperties':
      return {
        pointer: pointerTo(at, violation.key),
        at: 'key',
        ...(schema.properties === undefined ? {} : { aside: true }),
        ...unknownKey(violation.key, schema),
      }
    case 'required': {
      const { key } = violation
      return { pointer: pointerTo(at, key), at: 'key', ...missingKey(key, schema) }
    }
    case 'uniqueItems': {
      const pointer = pointerTo(at, violation.index)
      const twice = { message: 'this stands in the list twice', remedy: 'keep one of the two' }
      return { pointer, at: 'value', ...labelled(pointer, twice) }
    }
    case 'anyOf': {
      const { key, at: part = 'value', ...complaint } = violation.choice
      const pointer = key === undefined ? at : pointerTo(at, key)
      return { pointer, at: part, ...(part === 'key' ? complaint : labelled(pointer, complaint)) }
    }
    default: {
      const data = valueAt(config, at)
      const complaint = wrongValue(violation.word, schema, data, written(at) ?? data)
      return { pointer: at, at: 'value', ...labelled(at, complaint) }
    }
  }
}

/** Names the key, for a message may be read without the file at hand. */
const labelled = (pointer: string, { message, remedy }: Complaint): Complaint => {
  const segments = segmentsOfPointer(pointer)
  const name = segments.findLast((segment) => !/^\d+$/.test(segment))
  return { message: name === undefined ? message : `${tick(name)}: ${message}`, remedy }
}

const unknownKey = (key: string, { properties, keyExpects }: JsonSchema): Complaint => {
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

const missingKey = (key: string, { properties }: JsonSchema): Complaint => {
  const { whenMissing, description } = properties?.[key] ?? {}
  const said = description === undefined ? '' : `: ${firstSentence(description)}`
  return { message: `${tick(key)} is missing`, remedy: whenMissing ?? `add it${said}` }
}

const firstSentence = (text: string): string => text.replace(/\.( .*)?$/s, '')

const isMisspelt = (violation: Violation, unknownKeys: readonly Violation[]): boolean => {
  if (violation.word !== 'required') return false
  const known = Object.keys(violation.schema.properties ?? {})
  return unknownKeys.some(
    (other) =>
      other.word === 'additionalProperties' &&
      other.pointer === violation.pointer &&
      nearest(other.key, known) === violation.key,
  )
}

/** @param asWritten What may be shown of the value: with its variables not filled in. */
const wrongValue = (
  word: PlainWord,
  schema: JsonSchema,
  data: unknown,
  asWritten: unknown,
): Complaint => {
  const shown = quote(asWritten)
  switch (word) {
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
      const words = word === 'const' ? [schema.const] : (schema.enum ?? [])
      const meant = nearest(String(data), words.map(String))
      const remedy =
        meant === undefined
          ? `use ${listed(words.map(String), 'or')}`
          : `did you mean ${tick(meant)}?`
      return { message: `${shown} is not known here`, remedy }
    }
    case 'minimum':
      return { message: `${shown} is too small`, remedy: `use ${schema.minimum} or more` }
    case 'maximum':
      return { message: `${shown} is too large`, remedy: `use ${schema.maximum} or less` }
    case 'minLength':
      return { message: 'this is empty', remedy: `write ${describe(schema)}` }
    case 'maxLength':
      return { message: 'this is too long', remedy: `use up to ${schema.maxLength} characters` }
    case 'minItems':
      return { message: 'the list is too short', remedy: `name at least ${schema.minItems}` }
    case 'minProperties': // of secrets alone
    case 'maxProperties':
      return {
        message: 'a secret stands in one place',
        remedy: 'write `{ file: PATH }` or `{ env: NAME }`',
      }
    case 'maxItems':
      return { message: 'the list is too long', remedy: `name up to ${schema.maxItems}` }
    case 'pattern':
      return {
        message: `${shown} cannot stand here`,
        remedy: `use ${schema.expects ?? `what fits ${schema.pattern}`}`,
      }
    case 'format': {
      const complaint = findFormat(schema.format ?? '')?.(String(data))
      return {
        message: `${shown} ${complaint?.message ?? 'is not right'}`,
        remedy: complaint?.remedy ?? 'mend it',
      }
    }
    default:
      return word satisfies never
  }
}

const describe = (schema: JsonSchema): string => {
  switch (schema.type) {
    case 'integer':
      return 'a whole number'
    case 'boolean':
      return '`true` or `false`'
    default:
      return describeBranch(schema)
  }
}

const typeRemedy = (asWritten: unknown, schema: JsonSchema): string => {
  if (schema.type === 'string' && ['number', 'boolean'].includes(typeof asWritten))
    return `put it in quotes: ${quote(asWritten)}`
  if (typeof asWritten !== 'string') return `write ${describe(schema)}`
  if (schema.type === 'string') return `put it in quotes: ${quote(asWritten)}`
  return schema.type === 'array' ? 'write a list: [A, B]' : `write ${describe(schema)}`
}
