import type { Operator } from './operator.ts'

/** As C's `atoi`: white space, a sign, digits; 0 if there are none. */
export const leadingInteger = (text: string): number => {
  const number = Number.parseInt(text, 10)
  return Number.isNaN(number) ? 0 : number
}

const comparing =
  (compare: (value: number, argument: number) => boolean): Operator =>
  (argument) => {
    const wanted = leadingInteger(argument)
    return { test: (value) => compare(leadingInteger(value), wanted) }
  }

/** `@eq NUMBER`: the value, read as an integer, is the number. */
export const eq = comparing((value, argument) => value === argument)
/** `@ge NUMBER`: is the number or more. */
export const ge = comparing((value, argument) => value >= argument)
/** `@gt NUMBER`: is more than the number. */
export const gt = comparing((value, argument) => value > argument)
/** `@le NUMBER`: is the number or less. */
export const le = comparing((value, argument) => value <= argument)
/** `@lt NUMBER`: is less than the number. */
export const lt = comparing((value, argument) => value < argument)
