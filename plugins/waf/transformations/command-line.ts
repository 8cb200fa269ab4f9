import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

/**
 * `t:cmdLine`: undoes what shells ignore. Backslashes, quotes and carets go; commas, semicolons and white space become
 * one space, which goes before `/` and `(`; letters become lower-case.
 */
export const cmdLine: Transformation = {
  actsOn: classesIn('\\"\'^,; \t\r\n\v\fA'),
  apply: (value) =>
    value
      .replace(/[\\"'^]+/g, '')
      .replace(/[,;\t-\r ]+/g, ' ')
      .replace(/ ([/(])/g, '$1')
      .replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
}
