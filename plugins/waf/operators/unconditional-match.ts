import type { Operator } from './operator.ts'

/** `@unconditionalMatch`: every value matches. */
export const unconditionalMatch: Operator = () => ({ test: () => true })
