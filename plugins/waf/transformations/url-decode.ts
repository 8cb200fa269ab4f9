import { classesIn } from '../engine/byte-classes.ts'
import { bestFitByte } from './best-fit.ts'
import { hexByteAt, hexValue, type Transformation } from './transformation.ts'

/** `t:urlDecode`: `%XX` once, `+` is a space; a `%` that is not followed by two digits stays. */
export const urlDecode: Transformation = {
  actsOn: classesIn('%+'),
  apply: (value) => decode(value, false),
}

/** `t:urlDecodeUni`: as urlDecode, and `%uXXXX` becomes the ASCII byte that fits best (code page 20127). */
export const urlDecodeUni: Transformation = {
  actsOn: classesIn('%+'),
  apply: (value) => decode(value, true),
}

const decode = (value: string, uni: boolean): string => {
  let out = ''
  let kept = 0
  for (let i = 0; i < value.length;) {
    const code = value.charCodeAt(i)
    let byte = -1
    let width = 1
    if (code === 43) byte = 32
    else if (code === 37) {
      byte = hexByteAt(value, i + 1)
      width = 3
      if (byte < 0 && uni && (value.charCodeAt(i + 1) | 32) === 117) {
        byte = unicodeAt(value, i + 2)
        width = 6
      }
    }
    if (byte < 0) {
      i++
      continue
    }
    out += value.slice(kept, i) + String.fromCharCode(byte)
    i += width
    kept = i
  }
  return kept === 0 ? value : out + value.slice(kept)
}

const unicodeAt = (value: string, at: number): number => {
  let unit = 0
  for (let k = 0; k < 4; k++) {
    const digit = at + k < value.length ? hexValue(value.charCodeAt(at + k)) : -1
    if (digit < 0) return -1
    unit = unit * 16 + digit
  }
  return bestFitByte(unit)
}
