import { compilePattern } from '../regex/pattern.ts'
import { PatternError } from '../regex/syntax.ts'
import type { Operator } from './operator.ts'

/** Finds numbers by a pattern and keeps those that a check digit proves. */
const verifying =
  (operator: string, isValid: (digits: string) => boolean): Operator =>
  (argument) => {
    const pattern = compileFor(operator, argument)
    const find = (value: string): string | undefined => {
      for (let rest = value, i = 0; i < 100; i++) {
        const [found] = pattern.capture(rest) ?? []
        if (found === undefined || found === '') return undefined
        if (isValid(found)) return found
        rest = rest.slice(rest.indexOf(found) + 1)
      }
      return undefined
    }
    return {
      test: (value) => find(value) !== undefined,
      capture: (value) => [find(value) ?? ''],
      requirement: pattern.requirement,
    }
  }

const compileFor = (operator: string, argument: string) => {
  try {
    return compilePattern(argument)
  } catch (cause) {
    if (!(cause instanceof PatternError)) throw cause
    throw new TypeError(`${operator} cannot use the pattern: ${cause.message}`, { cause })
  }
}

const passesLuhn = (text: string): boolean => {
  const digits = text.replace(/\D/g, '')
  let sum = 0
  for (let i = 0; i < digits.length; i++) {
    const digit = Number(digits[digits.length - 1 - i])
    const doubled = i % 2 === 1 ? digit * 2 : digit
    sum += doubled > 9 ? doubled - 9 : doubled
  }
  return digits !== '' && sum % 10 === 0
}

const isSocialSecurityNumber = (text: string): boolean => {
  const digits = text.replace(/\D/g, '')
  if (digits.length !== 9) return false
  const [area, group, serial] = [digits.slice(0, 3), digits.slice(3, 5), digits.slice(5)]
  return area !== '000' && area !== '666' && area < '900' && group !== '00' && serial !== '0000'
}

/** `@verifyCC PATTERN`: what the pattern finds is a card number by its check digit (Luhn). */
export const verifyCC = verifying('@verifyCC', passesLuhn)
/** `@verifySSN PATTERN`: what it finds could be a US social security number. */
export const verifySSN = verifying('@verifySSN', isSocialSecurityNumber)
