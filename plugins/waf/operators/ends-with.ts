import type { Operator } from './operator.ts'

/** `@endsWith TEXT`. */
export const endsWith: Operator = (argument) => ({
  test: (value) => value.endsWith(argument),
  capture: () => [argument],
})
