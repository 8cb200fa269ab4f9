import { verifying } from './verify-numbers.ts'

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

/** `@verifyCC PATTERN`: what the pattern finds is a card number by its check digit (Luhn). */
export const verifyCC = verifying('@verifyCC', passesLuhn)
