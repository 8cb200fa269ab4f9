import type { Operator } from './operator.ts'

/** `@streq TEXT`: the value is the text. */
export const streq: Operator = (argument) => ({
  test: (value) => value === argument,
  capture: (value) => [value],
})
