/**
 * The 256 bytes in 32 classes, so that one number says which occur in a value. Transformations say by it which bytes
 * they act on, operators which a match must contain.
 */
const groups: readonly string[] = [
  'abcdefghijklmnopqrstuvwxyz',
  'ABCDEFGHIJKLMNOPQRSTUVWXYZ',
  '0123456789',
  '\0',
  '\t\v\f',
  '\r\n',
  ' ',
  '!',
  '"',
  '#',
  '$',
  '%',
  '&',
  "'",
  '(',
  ')',
  '*',
  '+',
  ',',
  '-',
  '.',
  '/',
  ':',
  ';',
  '<>',
  '=',
  '?@^~',
  '[]',
  '\\',
  '_',
  '`{|}',
]
/** Other control bytes and all from 0x80. */
const restBit = 1 << 31

/** The bit of each byte's class. */
export const bitOfByte: Int32Array = new Int32Array(256).fill(restBit)
groups.forEach((group, i) => {
  for (const char of group) bitOfByte[char.charCodeAt(0)] = 1 << i
})

/** Which classes occur in a value. */
export const classesIn = (value: string): number => {
  let mask = 0
  for (let i = 0; i < value.length; i++) mask |= bitOfByte[value.charCodeAt(i) & 255] ?? restBit
  return mask
}

export const lowerClass = 1
export const upperClass = 2
export const digitClass = 4
/** Letters and digits say little: nearly every value has them. */
export const commonClasses = lowerClass | upperClass | digitClass
