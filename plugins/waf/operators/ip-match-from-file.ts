import { matchAny } from './address-list.ts'
import type { Operator } from './operator.ts'

/** `@ipMatchFromFile FILE …` (also `@ipMatchF`): as `@ipMatch`, an entry a line; `#` begins a comment. */
export const ipMatchFromFile: Operator = (argument, { readFile }) =>
  matchAny(
    '@ipMatchFromFile',
    argument
      .split(/\s+/)
      .filter((name) => name !== '')
      .flatMap((name) => readFile(name).split('\n'))
      .map((line) => line.replace(/#.*/, '')),
  )
