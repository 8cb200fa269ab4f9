import { requirementOfPhrases } from '../regex/requirement.ts'
import type { Operator } from './operator.ts'

/** `@contains TEXT`: the text occurs in the value. Case matters. */
export const contains: Operator = (argument) => ({
  test: (value) => value.includes(argument),
  capture: () => [argument],
  ...(argument === '' ? {} : { requirement: requirementOfPhrases([argument]) }),
})

/** `@strmatch TEXT`: the same as `@contains`. */
export const strmatch = contains
