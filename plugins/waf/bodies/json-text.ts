import { digitOf, utf8Of } from './encode.ts'

/** Reads the words of JSON (RFC 8259) from latin1 bytes. `at` moves on only past what was well-formed. */
export type JsonReader = { readonly text: string; at: number }

const quote = 0x22
const backslash = 0x5c

/** Space, tab, line feed, carriage return, and nothing else (RFC 8259 §2). */
export const skipJsonSpace = (r: JsonReader): void => {
  const { text } = r
  for (; r.at < text.length; r.at++) {
    const code = text.charCodeAt(r.at)
    if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return
  }
}

const simpleEscapes: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
}

/** The four digits of `\uXXXX`, or -1. */
const hexAt = (text: string, at: number): number => {
  let unit = 0
  for (let i = at; i < at + 4; i++) {
    const digit = digitOf(text.charCodeAt(i))
    if (digit < 0) return -1
    unit = unit * 16 + digit
  }
  return unit
}

/** What the escape at the backslash means, undefined if nothing. */
const readEscape = (r: JsonReader): string | undefined => {
  const { text, at } = r
  const letter = text.charAt(at + 1)
  if (letter !== 'u') {
    r.at = at + 2
    return Object.hasOwn(simpleEscapes, letter) ? simpleEscapes[letter] : undefined
  }
  const unit = hexAt(text, at + 2)
  if (unit === -1) return undefined
  r.at = at + 6
  const isHigh = unit >= 0xd800 && unit <= 0xdbff
  if (!isHigh || !text.startsWith('\\u', r.at)) return utf8Of(unit)
  const low = hexAt(text, r.at + 2)
  if (low < 0xdc00 || low > 0xdfff) return utf8Of(unit)
  r.at += 6
  return utf8Of(0x10000 + (unit - 0xd800) * 0x400 + low - 0xdc00)
}

/** The text of a string whose opening quote is at `at`, escapes resolved; undefined if it is not well-formed. */
export const readJsonString = (r: JsonReader): string | undefined => {
  const { text } = r
  let value = ''
  let copied = r.at + 1
  let at = copied
  while (at < text.length) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      r.at = at + 1
      return value + text.slice(copied, at)
    }
    if (code === backslash) {
      r.at = at
      const meant = readEscape(r)
      if (meant === undefined) return undefined
      value += text.slice(copied, at) + meant
      at = r.at
      copied = at
    } else if (code < 0x20) return undefined
    else at++
  }
  return undefined
}

const number = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y

/** A number, as it is written. */
export const readJsonNumber = (r: JsonReader): string | undefined => {
  number.lastIndex = r.at
  const written = number.exec(r.text)?.[0]
  if (written !== undefined) r.at += written.length
  return written
}

const literals: readonly (readonly [word: string, value: string])[] = [
  ['true', 'true'],
  ['false', 'false'],
  ['null', ''],
]

/** `true` and `false` as they are, `null` as an empty text. */
export const readJsonLiteral = (r: JsonReader): string | undefined => {
  const found = literals.find(([word]) => r.text.startsWith(word, r.at))
  if (found === undefined) return undefined
  r.at += found[0].length
  return found[1]
}
