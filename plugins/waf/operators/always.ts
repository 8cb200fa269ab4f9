import type { Operator } from './operator.ts'

/** `@unconditionalMatch`: every value matches. */
export const unconditionalMatch: Operator = () => ({ test: () => true })
/** `@noMatch`: none does. */
export const noMatch: Operator = () => ({ test: () => false })
