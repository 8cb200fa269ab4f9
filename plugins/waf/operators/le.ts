import { comparing } from './compare-numbers.ts'

/** `@le NUMBER`: is the number or less. */
export const le = comparing((value, argument) => value <= argument)
