import { requirementOfPhrases } from '../regex/requirement.ts'
import type { Operator } from './operator.ts'

const whole = (value: string): readonly string[] => [value]
const wordByte = /[A-Za-z0-9_]/

/** `@streq TEXT`: the value is the text. */
export const streq: Operator = (argument) => ({
  test: (value) => value === argument,
  capture: whole,
})

/** `@beginsWith TEXT`. */
export const beginsWith: Operator = (argument) => ({
  test: (value) => value.startsWith(argument),
  capture: () => [argument],
})

/** `@endsWith TEXT`. */
export const endsWith: Operator = (argument) => ({
  test: (value) => value.endsWith(argument),
  capture: () => [argument],
})

/** `@contains TEXT`: the text occurs in the value. Case matters. */
export const contains: Operator = (argument) => ({
  test: (value) => value.includes(argument),
  capture: () => [argument],
  ...(argument === '' ? {} : { requirement: requirementOfPhrases([argument]) }),
})

/** `@strmatch TEXT`: the same as `@contains`. */
export const strmatch = contains

/** `@containsWord TEXT`: the text occurs with no word byte on either side. */
export const containsWord: Operator = (argument) => ({
  test: (value) => {
    if (argument === '') return true
    for (let at = value.indexOf(argument); at >= 0; at = value.indexOf(argument, at + 1)) {
      const [before, after] = [value[at - 1], value[at + argument.length]]
      if (!wordByte.test(before ?? ' ') && !wordByte.test(after ?? ' ')) return true
    }
    return false
  },
  capture: () => [argument],
})

/** `@within TEXT`: the value occurs in the text. The empty value does not. */
export const within: Operator = (argument) => ({
  test: (value) => argument.includes(value),
  capture: whole,
})
