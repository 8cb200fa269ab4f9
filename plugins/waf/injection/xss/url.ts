const ampersand = 0x26
const hash = 0x23
const semicolon = 0x3b
const largest = 0x1000ff

/** The value of a hexadecimal digit, or 16. */
const digitOf = (code: number): number => {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : 16
}

/** A byte, or a numeric character reference: its value, and where it ends. Named ones are left alone. */
const decodeAt = (text: string, at: number): readonly [value: number, end: number] => {
  const code = text.charCodeAt(at)
  if (code !== ampersand || text.charCodeAt(at + 1) !== hash) return [code, at + 1]
  const isHexadecimal = (text.charCodeAt(at + 2) | 0x20) === 0x78
  const base = isHexadecimal ? 16 : 10
  const first = isHexadecimal ? at + 3 : at + 2
  let value = 0
  let end = first
  for (; end < text.length; end++) {
    const digit = digitOf(text.charCodeAt(end))
    if (digit >= base) break
    value = value * base + digit
    if (value > largest) return [ampersand, at + 1]
  }
  if (end === first) return [ampersand, at + 1]
  return [value, text.charCodeAt(end) === semicolon ? end + 1 : end]
}

const schemes = ['DATA', 'VIEW-SOURCE', 'VBSCRIPT', 'JAVA']
const longestScheme = 11

/** The first bytes of a URL in upper case, as browsers read them: no white space before, no NUL or line feed anywhere. */
const beginningOf = (text: string, start: number): string => {
  let beginning = ''
  let at = start
  while (at < text.length && beginning.length < longestScheme) {
    const [value, end] = decodeAt(text, at)
    at = end
    const isIgnored = beginning === '' ? value <= 0x20 : value === 0x00 || value === 0x0a
    if (isIgnored) continue
    const upper = value >= 0x61 && value <= 0x7a ? value - 0x20 : value
    beginning += String.fromCharCode(upper & 0xff)
  }
  return beginning
}

/** A URL that runs code or shows what its author likes. White space, controls and bytes ≥ 0x7F before it do not count. */
export const isDangerousUrl = (text: string): boolean => {
  let start = 0
  while (start < text.length && (text.charCodeAt(start) <= 0x20 || text.charCodeAt(start) >= 0x7f))
    start++
  const beginning = beginningOf(text, start)
  return schemes.some((scheme) => beginning.startsWith(scheme))
}
