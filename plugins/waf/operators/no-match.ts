import type { Operator } from './operator.ts'

/** `@noMatch`: none does. */
export const noMatch: Operator = () => ({ test: () => false })
