import { classesIn } from '../engine/byte-classes.ts'
import type { Operator } from './operator.ts'

/** `@validateUrlEncoding`: matches a value with a `%` that two hexadecimal digits do not follow. */
export const validateUrlEncoding: Operator = () => ({
  test: (value) => /%(?![0-9A-Fa-f]{2})/.test(value),
  requirement: { minLength: 1, classes: [classesIn('%')] },
})
