import { comparing } from './compare-numbers.ts'

/** `@gt NUMBER`: is more than the number. */
export const gt = comparing((value, argument) => value > argument)
