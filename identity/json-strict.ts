import { isUtf8 } from 'node:buffer'
import { bad, good, type Outcome } from './outcome.ts'

export type JsonObject = Readonly<Record<string, unknown>>

const defaultMaxDepth = 16
const backslash = 0x5c

/**
 * Reads JSON that two programs cannot understand differently: strict UTF-8, no byte order mark, no member twice at any
 * level, no `__proto__`, no lone surrogates, no number that is too large to be one, bounded depth.
 *
 * @param bytes Bounded by whoever received them.
 * @returns The object, not frozen. Anything that is not an object is a fault, too.
 * @see RFC 8725 §2.6, RFC 8259 §4 and §8.2
 */
export const parseStrictObject = (
  bytes: Uint8Array,
  maxDepth: number = defaultMaxDepth,
): Outcome<JsonObject> => {
  if (!isUtf8(bytes)) return bad('it is not UTF-8')
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause
    return bad('it is not JSON') // the parser's own message quotes what was sent
  }
  if (!isJsonObject(value)) return bad('it is not a JSON object')
  if (isSurelyStrict(text, value, maxDepth)) return good(value)
  const fault = faultBeyondGrammar(text, maxDepth)
  return fault === undefined ? good(value) : bad(fault)
}

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * Whether what most texts are can be told of this one, in half the time: no text with an escape is. What `JSON.parse` made of it has
 * as many members as there are colons outside its strings; one that came twice, and all that was in what it replaced, is missing
 * there.
 */
const isSurelyStrict = (text: string, value: JsonObject, maxDepth: number): boolean => {
  if (text.includes('\\') || !text.isWellFormed()) return false
  let names = 0
  let depth = 0
  for (let at = 0; at < text.length; at++)
    switch (text.charCodeAt(at)) {
      case 0x22: // a string: up to its other quote
        at = text.indexOf('"', at + 1)
        break
      case 0x3a: // :
        names++
        break
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > maxDepth) return false
        break
      case 0x5d: // ]
      case 0x7d: // }
        depth--
        break
      default:
    }
  return names === plainMembersOf(value)
}

/** How many members there are at all levels; NaN where one is named `__proto__`, or a number was too large. */
const plainMembersOf = (value: unknown): number => {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN
  if (typeof value !== 'object' || value === null) return 0
  let members = 0
  if (Array.isArray(value)) for (const one of value) members += plainMembersOf(one)
  else
    for (const name of Object.keys(value)) {
      if (name === '__proto__') return Number.NaN
      members += 1 + plainMembersOf((value as JsonObject)[name])
    }
  return members
}

/**
 * Walks over a text that `JSON.parse` has accepted, so only what the grammar leaves open is looked at. Walking twice
 * over the same text is safer than a parser of our own, and cheap: tokens are small.
 */
const faultBeyondGrammar = (text: string, maxDepth: number): string | undefined => {
  const hasEscapes = text.includes('\\')
  /** One a level: the names seen in an object, undefined for an array. */
  const levels: (Set<string> | undefined)[] = []
  let nameIsNext = false
  for (let at = 0; at < text.length; at++) {
    switch (text[at]) {
      case '{':
      case '[': {
        const isObject = text[at] === '{'
        levels.push(isObject ? new Set() : undefined)
        if (levels.length > maxDepth) return `it is nested deeper than ${maxDepth}`
        nameIsNext = isObject
        break
      }
      case '}':
      case ']':
        levels.pop()
        nameIsNext = false
        break
      case ',':
        nameIsNext = levels.at(-1) !== undefined
        break
      case '"': {
        const end = endOfString(text, at, hasEscapes)
        if (nameIsNext || hasEscapes) {
          const string = stringBetween(text, at, end)
          if (!string.isWellFormed()) return 'a string in it is not well-formed Unicode'
          const fault = nameIsNext ? faultOfName(string, levels.at(-1)) : undefined
          if (fault !== undefined) return fault
        }
        nameIsNext = false
        at = end
        break
      }
      case '-':
      case '0':
      case '1':
      case '2':
      case '3':
      case '4':
      case '5':
      case '6':
      case '7':
      case '8':
      case '9': {
        const end = endOfNumber(text, at)
        if (!Number.isFinite(Number(text.slice(at, end)))) return 'a number in it is too large'
        at = end - 1
        break
      }
      default: // white space, colons, true, false, null
    }
  }
  return undefined
}

const faultOfName = (name: string, seen: Set<string> | undefined): string | undefined => {
  if (name === '__proto__') return 'it has a member named __proto__'
  if (seen?.has(name)) return 'it has a member twice'
  seen?.add(name)
  return undefined
}

/** Index of the closing quote of the string that opens at `start`. */
const endOfString = (text: string, start: number, hasEscapes: boolean): number => {
  let end = text.indexOf('"', start + 1)
  if (hasEscapes) while (isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

const isEscaped = (text: string, at: number): boolean => {
  let backslashes = 0
  while (text.charCodeAt(at - 1 - backslashes) === backslash) backslashes++
  return backslashes % 2 === 1
}

const stringBetween = (text: string, start: number, end: number): string => {
  const raw = text.slice(start + 1, end)
  if (!raw.includes('\\')) return raw
  return String(JSON.parse(text.slice(start, end + 1)))
}

const endOfNumber = (text: string, start: number): number => {
  let end = start + 1
  while (end < text.length && isNumberCharacter(text.charCodeAt(end))) end++
  return end
}

/** Digits, `+`, `-`, `.`, `e`, `E`: after `JSON.parse` no other token can follow a number directly. */
const isNumberCharacter = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) ||
  code === 0x2b ||
  code === 0x2d ||
  code === 0x2e ||
  code === 0x45 ||
  code === 0x65
