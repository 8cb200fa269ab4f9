/** Name and filename of a part. A part with a filename, even an empty one, is a file. */
export type Disposition = {
  readonly name: string | undefined
  readonly filename: string | undefined
  /** Single quotes where double ones belong, or quotes in a value without. */
  readonly hasInvalidQuoting: boolean
}

/** Why a Content-Disposition cannot be read, numbered as ModSecurity numbers it. */
export type DispositionFault = { readonly code: number; readonly hasInvalidQuoting: boolean }

type Cursor = { readonly text: string; at: number }

const tokenCharacters = /[!#$%&'*+\-.0-9A-Z^_`a-z{|}~]*/y

const skipBlanks = (c: Cursor): void => {
  while (c.text[c.at] === ' ' || c.text[c.at] === '\t') c.at++
}

/** A value in quotes, in which a backslash escapes the quote and itself, and otherwise stands for itself. */
const readQuoted = (c: Cursor, quote: string): string | number => {
  const { text } = c
  c.at++
  if (c.at === text.length) return -7
  let value = ''
  while (c.at < text.length) {
    const character = text.charAt(c.at)
    if (character === quote) {
      c.at++
      return value
    }
    if (character === '\\') {
      const next = text[c.at + 1]
      if (next === undefined) return -8
      if (next === quote || next === '\\') c.at++
    }
    value += text.charAt(c.at)
    c.at++
  }
  return -10
}

const readToken = (c: Cursor): string => {
  tokenCharacters.lastIndex = c.at
  const value = tokenCharacters.exec(c.text)?.[0] ?? ''
  c.at += value.length
  return value
}

type Parameter = { readonly name: string; readonly value: string; readonly quote: string }

const readParameter = (c: Cursor): Parameter | number => {
  const { text } = c
  skipBlanks(c)
  if (c.at === text.length) return -3
  const start = c.at
  while (c.at < text.length && !'=\t '.includes(text.charAt(c.at))) c.at++
  if (c.at === text.length) return -4
  const name = text.slice(start, c.at)
  skipBlanks(c)
  if (c.at === text.length) return -5
  if (text[c.at] !== '=') return -13
  c.at++
  skipBlanks(c)
  const quote = text[c.at]
  if (quote === undefined) return -6
  if (quote !== '"' && quote !== "'") return { name, value: readToken(c), quote: '' }
  const value = readQuoted(c, quote)
  return typeof value === 'number' ? value : { name, value, quote }
}

/** Reads the value of a Content-Disposition header of a part: `form-data; name="a"; filename="b"`, and nothing else. */
export const parseDisposition = (text: string): Disposition | DispositionFault => {
  let name: string | undefined
  let filename: string | undefined
  let hasInvalidQuoting = false
  const fault = (code: number): DispositionFault => ({ code, hasInvalidQuoting })

  if (!text.startsWith('form-data')) return fault(-1)
  const c: Cursor = { text, at: 'form-data'.length }
  skipBlanks(c)
  if (c.at < text.length && text[c.at] !== ';') return fault(-2)
  c.at++
  while (c.at < text.length) {
    const parameter = readParameter(c)
    if (typeof parameter === 'number') return fault(parameter)
    const { value, quote } = parameter
    hasInvalidQuoting ||= quote === "'" || (quote === '' && value.includes("'"))
    if (parameter.name === 'name') {
      if (name !== undefined) return fault(-14)
      name = value
    } else if (parameter.name === 'filename') {
      if (filename !== undefined) return fault(-15)
      filename = value
    } else return fault(-11) // filename* too: some backends would take it, some the other

    skipBlanks(c)
    if (c.at < text.length && text[c.at] !== ';') {
      const before = text[c.at - 1]
      hasInvalidQuoting ||= before === '"' || before === "'"
      return fault(-12)
    }
    c.at++
  }
  return { name, filename, hasInvalidQuoting }
}
