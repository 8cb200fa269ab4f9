import { emptySet, setOf, union, hasByte } from '../regex/byte-set.ts'
import type { Operator } from './operator.ts'

/** `@validateByteRange 1-255,9,…`: matches a value that has a byte outside of the ranges. */
export const validateByteRange: Operator = (argument) => {
  const allowed = argument
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '')
    .map((text) => {
      const found = /^(\d{1,3})(?:-(\d{1,3}))?$/.exec(text)
      const [from, to] = [Number(found?.[1]), Number(found?.[2] ?? found?.[1])]
      if (!found || from > to || to > 255)
        throw new TypeError(`@validateByteRange cannot read ${JSON.stringify(text)}`)
      return setOf([from, to])
    })
    .reduce((all, set) => union(all, set), emptySet())
  const table = new Uint8Array(256).map((_, byte) => (hasByte(allowed, byte) ? 1 : 0))
  return {
    test: (value) => {
      for (let i = 0; i < value.length; i++) if (table[value.charCodeAt(i) & 255] === 0) return true
      return false
    },
  }
}

/** `@validateUrlEncoding`: matches a value with a `%` that two hexadecimal digits do not follow. */
export const validateUrlEncoding: Operator = () => ({
  test: (value) => /%(?![0-9A-Fa-f]{2})/.test(value),
  requirement: { minLength: 1, classes: [1 << 11] },
})

/** `@validateUtf8Encoding`: matches a value that is not UTF-8: broken, overlong or beyond Unicode. */
export const validateUtf8Encoding: Operator = () => ({
  test: (value) => !isUtf8(value),
  requirement: { minLength: 1, classes: [1 << 31] },
})

const isUtf8 = (value: string): boolean => {
  for (let i = 0; i < value.length;) {
    const lead = value.charCodeAt(i++)
    if (lead < 0x80) continue
    const more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1
    if (lead < 0xc2 || lead > 0xf4) return false
    for (let k = 0; k < more; k++) {
      const byte = i < value.length ? value.charCodeAt(i++) : 0
      let [low, high] = [0x80, 0xbf]
      // The second byte rules out overlong forms, surrogates and what is beyond U+10FFFF (RFC 3629 §4).
      if (k === 0 && lead === 0xe0) low = 0xa0
      if (k === 0 && lead === 0xed) high = 0x9f
      if (k === 0 && lead === 0xf0) low = 0x90
      if (k === 0 && lead === 0xf4) high = 0x8f
      if (byte < low || byte > high) return false
    }
  }
  return true
}
