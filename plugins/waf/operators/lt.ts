import { comparing } from './compare-numbers.ts'

/** `@lt NUMBER`: is less than the number. */
export const lt = comparing((value, argument) => value < argument)
