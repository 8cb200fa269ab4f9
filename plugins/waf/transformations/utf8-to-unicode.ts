import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

/** `t:utf8toUnicode`: each UTF-8 sequence of two bytes or more becomes `%uXXXX`; bytes that are none stay. */
export const utf8toUnicode: Transformation = {
  actsOn: classesIn('\xff'),
  apply: (value) =>
    value.replace(
      /[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}/g,
      (sequence) => {
        const lead = sequence.charCodeAt(0) & (0xff >>> (sequence.length + 1))
        let codePoint = lead
        for (let i = 1; i < sequence.length; i++)
          codePoint = codePoint * 64 + (sequence.charCodeAt(i) & 63)
        const overlong =
          codePoint < (sequence.length === 3 ? 0x800 : sequence.length === 4 ? 0x10000 : 0)
        const surrogate = codePoint >= 0xd800 && codePoint <= 0xdfff
        return overlong || surrogate ? sequence : `%u${codePoint.toString(16).padStart(4, '0')}`
      },
    ),
}
