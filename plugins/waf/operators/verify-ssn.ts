import { verifying } from './verify-numbers.ts'

const isSocialSecurityNumber = (text: string): boolean => {
  const digits = text.replace(/\D/g, '')
  if (digits.length !== 9) return false
  const [area, group, serial] = [digits.slice(0, 3), digits.slice(3, 5), digits.slice(5)]
  return area !== '000' && area !== '666' && area < '900' && group !== '00' && serial !== '0000'
}

/** `@verifySSN PATTERN`: what it finds could be a US social security number. */
export const verifySSN = verifying('@verifySSN', isSocialSecurityNumber)
