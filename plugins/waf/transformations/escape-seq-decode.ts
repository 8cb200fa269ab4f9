import { classesIn } from '../engine/byte-classes.ts'
import { hexByteAt, octalAt, type Transformation } from './transformation.ts'

const letters: Readonly<Record<string, string>> = {
  a: '\x07',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
  '\\': '\\',
  '?': '?',
  "'": "'",
  '"': '"',
}

/** `t:escapeSeqDecode`: the escapes of ANSI C. Of what is not one only the backslash goes. */
export const escapeSeqDecode: Transformation = {
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
  if (Object.hasOwn(letters, letter)) return [letters[letter] ?? '', 1]
  if (letter === 'x' || letter === 'X') {
    const byte = hexByteAt(value, at + 1)
    if (byte >= 0) return [String.fromCharCode(byte), 3]
  }
  const [number, count] = octalAt(value, at)
  if (count > 0) return [String.fromCharCode(number & 255), count]
  return [letter, 1]
}
