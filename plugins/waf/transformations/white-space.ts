import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

const spaces = classesIn(' \t\r\n\v\f\xa0')

/** `t:removeWhitespace`: white space and 0xA0 go. */
export const removeWhitespace: Transformation = {
  actsOn: spaces,
  apply: (value) => value.replace(/[\t-\r \xa0]+/g, ''),
}

/** `t:compressWhitespace`: each run of white space and 0xA0 becomes one space. */
export const compressWhitespace: Transformation = {
  actsOn: spaces,
  apply: (value) => value.replace(/[\t-\r \xa0]+/g, ' '),
}

/** `t:trimLeft`: white space at the start goes. */
export const trimLeft: Transformation = {
  actsOn: spaces,
  apply: (value) => value.slice(startOf(value)),
}

/** `t:trimRight`: white space at the end goes. */
export const trimRight: Transformation = {
  actsOn: spaces,
  apply: (value) => value.slice(0, endOf(value)),
}

/** `t:trim`: at both ends. */
export const trim: Transformation = {
  actsOn: spaces,
  apply: (value) => {
    const start = startOf(value)
    return value.slice(start, Math.max(start, endOf(value)))
  },
}

const isSpace = (code: number): boolean => (code >= 9 && code <= 13) || code === 32
const startOf = (value: string): number => {
  let start = 0
  while (start < value.length && isSpace(value.charCodeAt(start))) start++
  return start
}
// A regular expression that ends in `\s+$` would take quadratic time.
const endOf = (value: string): number => {
  let end = value.length
  while (end > 0 && isSpace(value.charCodeAt(end - 1))) end--
  return end
}
