import { classesIn } from '../engine/byte-classes.ts'
import type { Transformation } from './transformation.ts'

/** `t:removeNulls`: NUL bytes go. */
export const removeNulls: Transformation = {
  actsOn: classesIn('\0'),
  apply: (value) => value.replaceAll('\0', ''),
}

/** `t:replaceNulls`: NUL bytes become spaces. */
export const replaceNulls: Transformation = {
  actsOn: classesIn('\0'),
  apply: (value) => value.replaceAll('\0', ' '),
}
