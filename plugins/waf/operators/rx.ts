import { compilePattern } from '../regex/pattern.ts'
import { PatternError } from '../regex/syntax.ts'
import type { Operator } from './operator.ts'

/** `@rx PATTERN`: the PCRE pattern matches. Captures the match and its groups. */
export const rx: Operator = (argument) => {
  try {
    const pattern = compilePattern(argument)
    return {
      test: pattern.test,
      capture: (value) => pattern.capture(value) ?? [],
      search: pattern.search,
      requirement: pattern.requirement,
    }
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    throw new TypeError(`@rx cannot use the pattern: ${cause.message}`, { cause })
  }
}
