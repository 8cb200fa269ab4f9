import { isUtf8 } from 'node:buffer'
import type { Argument, BodyLimits, BodySteps } from './body.ts'
import { atOnce, tooManyArguments } from './body.ts'
import type { JsonReader } from './json-text.ts'
import { readJsonLiteral, readJsonNumber, readJsonString, skipJsonSpace } from './json-text.ts'

/** An object or array that is open, and which member of it is read. */
type Container = {
  readonly isArray: boolean
  /** Its name, once one of its members has needed it: an array of empty arrays has many names and no arguments. */
  name: string | undefined
  key: string
  index: number
}

type Fault = { readonly error: string; readonly overLimit?: boolean }

type Walk = {
  readonly reader: JsonReader
  readonly limits: BodyLimits
  readonly args: Argument[]
  readonly open: Container[]
  nameBytes: number
}

/** What may come next. */
type Expected = 'value' | 'first-item' | 'key' | 'first-key' | 'after-value'

/** ModSecurity 3's name of a member: `json.user.roles.array_0.name`; a text or number alone is `json`. */
const memberName = (container: Container | undefined): string => {
  if (container === undefined) return 'json'
  const { isArray, name, key, index } = container
  return isArray ? `${name}.array_${index}` : `${name}.${key === '' ? 'empty-key' : key}`
}

/** The name of the member that is read. Names the containers around it that have none yet, from the outside in. */
const nameOf = (open: readonly Container[]): string => {
  let named = open.length
  while (named > 0 && open[named - 1]?.name === undefined) named--
  let around = open[named - 1]
  for (const container of open.slice(named)) {
    container.name = memberName(around)
    around = container
  }
  return memberName(around)
}

const add = (walk: Walk, value: string): Fault | undefined => {
  const { args, limits, open } = walk
  if (args.length === limits.maxArguments) return tooManyArguments(limits)
  const name = nameOf(open)
  walk.nameBytes += name.length
  if (walk.nameBytes > limits.maxTotalNameBytes)
    return { error: `Names of more than ${limits.maxTotalNameBytes} bytes.`, overLimit: true }
  args.push([name, value])
  return undefined
}

const enter = (walk: Walk, isArray: boolean): Fault | undefined => {
  const { open, limits } = walk
  if (open.length === limits.maxDepth)
    return { error: `JSON parsing error: nests deeper than ${limits.maxDepth}.`, overLimit: true }
  open.push({ isArray, name: undefined, key: '', index: 0 })
  walk.reader.at++
  return undefined
}

/** Leaves the innermost container if its closing bracket is here. */
const leave = ({ reader, open }: Walk): boolean => {
  const container = open.at(-1)
  if (container === undefined) return false
  if (reader.text[reader.at] !== (container.isArray ? ']' : '}')) return false
  open.pop()
  reader.at++
  return true
}

const malformed = ({ reader }: Walk): Fault => ({
  error: `JSON parsing error: malformed at byte ${reader.at}.`,
})

const readScalar = (reader: JsonReader): string | undefined => {
  const first = reader.text[reader.at]
  if (first === '"') return readJsonString(reader)
  return readJsonNumber(reader) ?? readJsonLiteral(reader)
}

const readValue = (walk: Walk): Expected | Fault => {
  const first = walk.reader.text[walk.reader.at]
  if (first === '{') return enter(walk, false) ?? 'first-key'
  if (first === '[') return enter(walk, true) ?? 'first-item'
  const value = readScalar(walk.reader)
  if (value === undefined) return malformed(walk)
  return add(walk, value) ?? 'after-value'
}

const readKey = (walk: Walk): Expected | Fault => {
  const { reader, open } = walk
  const container = open.at(-1)
  const key = reader.text[reader.at] === '"' ? readJsonString(reader) : undefined
  if (key === undefined || container === undefined) return malformed(walk)
  skipJsonSpace(reader)
  if (reader.text[reader.at] !== ':') return malformed(walk)
  reader.at++
  container.key = key
  return 'value'
}

const readAfterValue = (walk: Walk): Expected | Fault => {
  const { reader, open } = walk
  const container = open.at(-1)
  if (container === undefined) return malformed(walk)
  if (leave(walk)) return 'after-value'
  if (reader.text[reader.at] !== ',') return malformed(walk)
  reader.at++
  container.index++
  return container.isArray ? 'value' : 'key'
}

const readNext = (walk: Walk, expected: Expected): Expected | Fault => {
  switch (expected) {
    case 'first-item':
      return leave(walk) ? 'after-value' : readValue(walk)
    case 'first-key':
      return leave(walk) ? 'after-value' : readKey(walk)
    case 'value':
      return readValue(walk)
    case 'key':
      return readKey(walk)
    case 'after-value':
      return readAfterValue(walk)
    default:
      return expected satisfies never
  }
}

/** Keys and values read between two pauses. */
const stepsPerPiece = 500

const walkThrough = function* (walk: Walk): Generator<undefined, Fault | undefined> {
  const { reader, open } = walk
  let expected: Expected = 'value'
  for (let step = 1; ; step++) {
    if (step % stepsPerPiece === 0) yield
    skipJsonSpace(reader)
    if (expected === 'after-value' && open.length === 0 && reader.at === reader.text.length)
      return undefined
    const next = readNext(walk, expected)
    if (typeof next === 'object') return next
    expected = next
  }
}

/**
 * JSON (RFC 8259) as ModSecurity 3 turns it into arguments: one for each text, number, true, false and null (empty),
 * numbers as written, duplicate keys kept; none for empty objects and arrays. An empty body is not an error.
 */
export const jsonSteps: BodySteps = function* (body, limits) {
  if (body === '') return { args: [] }
  if (!isUtf8(Buffer.from(body, 'latin1')))
    return { args: [], error: 'JSON parsing error: not UTF-8.' }
  const args: Argument[] = []
  const reader: JsonReader = { text: body, at: 0 }
  return { args, ...(yield* walkThrough({ reader, limits, args, open: [], nameBytes: 0 })) }
}

export const jsonBody = atOnce(jsonSteps)
