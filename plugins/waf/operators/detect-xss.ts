import { detectXss } from '../injection/xss.ts'
import type { Operator } from './operator.ts'

/** `@detectXSS`: libinjection takes the value for cross-site scripting. Captures the value. */
export const detectXSS: Operator = () => ({
  test: detectXss,
  capture: (value) => [value],
})
