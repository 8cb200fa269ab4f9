import { comparing } from './compare-numbers.ts'

/** `@eq NUMBER`: the value, read as an integer, is the number. */
export const eq = comparing((value, argument) => value === argument)
