import { classesIn } from '../engine/byte-classes.ts'
import type { Operator } from './operator.ts'

/** `@validateUtf8Encoding`: matches a value that is not UTF-8: broken, overlong or beyond Unicode. */
export const validateUtf8Encoding: Operator = () => ({
  test: (value) => !isUtf8(value),
  requirement: { minLength: 1, classes: [classesIn('\xff')] },
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
