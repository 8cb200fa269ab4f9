import { compilePattern } from '../regex/pattern.ts'
import { PatternError } from '../regex/syntax.ts'
import type { Operator } from './operator.ts'

/** An operator that finds numbers by a pattern and keeps those that a check proves. */
export const verifying =
  (operator: string, isValid: (digits: string) => boolean): Operator =>
  (argument) => {
    const pattern = compileFor(operator, argument)
    const find = (value: string): string | undefined => {
      for (let rest = value, i = 0; i < 100; i++) {
        const [found] = pattern.capture(rest) ?? []
        if (found === undefined || found === '') return undefined
        if (isValid(found)) return found
        rest = rest.slice(rest.indexOf(found) + 1)
      }
      return undefined
    }
    return {
      test: (value) => find(value) !== undefined,
      capture: (value) => [find(value) ?? ''],
      requirement: pattern.requirement,
    }
  }

const compileFor = (operator: string, argument: string) => {
  try {
    return compilePattern(argument)
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    throw new TypeError(`${operator} cannot use the pattern: ${cause.message}`, { cause })
  }
}
