import { detectSqli } from '../injection/sqli.ts'
import type { Operator } from './operator.ts'

/** `@detectSQLi`: libinjection takes the value for SQL injection. Captures the fingerprint. */
export const detectSQLi: Operator = () => ({
  test: (value) => detectSqli(value).injection,
  capture: (value) => [detectSqli(value).fingerprint],
})
