import type { Operator } from './operator.ts'

/** `@beginsWith TEXT`. */
export const beginsWith: Operator = (argument) => ({
  test: (value) => value.startsWith(argument),
  capture: () => [argument],
})
