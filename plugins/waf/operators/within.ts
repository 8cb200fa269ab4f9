import type { Operator } from './operator.ts'

/** `@within TEXT`: the value occurs in the text; the empty value does too. */
export const within: Operator = (argument) => ({
  test: (value) => argument.includes(value),
  capture: (value) => [value],
})
