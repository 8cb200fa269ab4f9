import { classesIn } from '../engine/byte-classes.ts'
import { foldWidth } from './best-fit.ts'
import { hexByteAt, octalAt, type Transformation } from './transformation.ts'

const letters: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
}

/** `t:jsDecode`: JavaScript's escapes; of `\uHHHH` the low byte, full-width forms as ASCII. */
export const jsDecode: Transformation = {
  actsOn: classesIn('\\'),
  apply: (value) => {
    let out = ''
    for (let i = 0; i < value.length;) {
      const slash = value.indexOf('\\', i)
      if (slash < 0 || slash + 1 >= value.length) return out + value.slice(i)
      const [text, width] = decodeEscape(value, slash + 1)
      out += value.slice(i, slash) + text
      i = slash + 1 + width
    }
    return out
  },
}

const decodeEscape = (value: string, at: number): readonly [string, number] => {
  const letter = value[at] ?? ''
  if (letter === 'u') {
    const [high, low] = [hexByteAt(value, at + 1), hexByteAt(value, at + 3)]
    if (high >= 0 && low >= 0) return [String.fromCharCode(foldWidth(high * 256 + low)), 5]
  }
  if (letter === 'x') {
    const byte = hexByteAt(value, at + 1)
    if (byte >= 0) return [String.fromCharCode(byte), 3]
  }
  const [number, count] = octalAt(value, at)
  // Three digits only up to \377: a byte has no more.
  if (count > 0)
    return number > 255
      ? [String.fromCharCode(number >>> 3), 2]
      : [String.fromCharCode(number), count]
  return [letters[letter] ?? letter, 1]
}
