import { comparing } from './compare-numbers.ts'

/** `@ge NUMBER`: is the number or more. */
export const ge = comparing((value, argument) => value >= argument)
