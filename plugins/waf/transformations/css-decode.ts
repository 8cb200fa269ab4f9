import { classesIn } from '../engine/byte-classes.ts'
import { foldWidth } from './best-fit.ts'
import { hexValue, type Transformation } from './transformation.ts'

/** `t:cssDecode`: CSS 2 escapes of one to six digits, of which the last two count; full-width forms as ASCII. */
export const cssDecode: Transformation = {
  actsOn: classesIn('\\'),
  apply: (value) => {
    let out = ''
    for (let i = 0; i < value.length;) {
      const slash = value.indexOf('\\', i)
      if (slash < 0) return out + value.slice(i)
      out += value.slice(i, slash)
      i = slash + 1
      let digits = 0
      while (digits < 6 && i + digits < value.length && hexValue(value.charCodeAt(i + digits)) >= 0)
        digits++
      if (digits > 0) {
        out += String.fromCharCode(byteOf(value.slice(i, i + digits)))
        i += digits
        if (i < value.length && /\s/.test(value[i] ?? '')) i++
      } else if (value[i] === '\n') i++
      else if (i < value.length) out += value[i++]
    }
    return out
  },
}

const byteOf = (digits: string): number => {
  const number = Number.parseInt(digits, 16)
  const isWide = digits.length >= 4 && number >>> 8 === 0xff && /^0*ff..$/i.test(digits)
  return isWide ? foldWidth(number) : number & 255
}
