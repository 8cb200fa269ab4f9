import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

/** `t:lowercase`, of ASCII letters only: `toLowerCase` would change Latin-1 letters, which here are bytes of anything. */
export const lowercase: Transformation = {
  actsOn: classesIn('A'),
  apply: (value) => value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
}

/** `t:uppercase`, of ASCII letters only. */
export const uppercase: Transformation = {
  actsOn: classesIn('a'),
  apply: (value) => value.replace(/[a-z]+/g, (letters) => letters.toUpperCase()),
}
