import type { Operator } from './operator.ts'

/** As C's `atoi`: white space, a sign, digits; 0 if there are none. */
export const leadingInteger = (text: string): number => {
  const number = Number.parseInt(text, 10)
  return Number.isNaN(number) ? 0 : number
}

/** An operator that compares numbers. */
export const comparing =
  (compare: (value: number, argument: number) => boolean): Operator =>
  (argument) => {
    const wanted = leadingInteger(argument)
    return { test: (value) => compare(leadingInteger(value), wanted) }
  }
