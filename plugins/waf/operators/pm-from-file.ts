import { containsAny } from './contains-any.ts'
import type { Operator } from './operator.ts'

/** `@pmFromFile FILE …` (also `@pmf`): as `@pm`, a phrase a line; lines that begin with `#` are comments. */
export const pmFromFile: Operator = (argument, { readFile }) =>
  containsAny(
    argument
      .split(/\s+/)
      .filter((name) => name !== '')
      .flatMap((name) => readFile(name).split('\n'))
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#')),
  )
