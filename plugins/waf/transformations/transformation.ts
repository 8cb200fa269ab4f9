/** Turns a value into another. Values are latin1 strings: one character is one byte. */
export type Transformation = {
  readonly apply: (value: string) => string
  /**
   * Classes of bytes (engine/byte-classes.ts) without which the value stays as it is. -1: may change any value.
   * Too many only cost time; one too few would blind rules.
   */
  readonly actsOn: number
}

/** The value of a hexadecimal digit, -1 for another byte. */
export const hexValue = (code: number): number => {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** The byte that two hexadecimal digits at a place make, or -1. */
export const hexByteAt = (value: string, at: number): number => {
  if (at + 1 >= value.length) return -1
  const high = hexValue(value.charCodeAt(at))
  const low = hexValue(value.charCodeAt(at + 1))
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

/** The value of up to three octal digits at a place and how many there are. */
export const octalAt = (value: string, at: number): readonly [number, number] => {
  let number = 0
  let count = 0
  while (count < 3 && at + count < value.length) {
    const digit = value.charCodeAt(at + count) - 48
    if (digit < 0 || digit > 7) break
    number = number * 8 + digit
    count++
  }
  return [number, count]
}
