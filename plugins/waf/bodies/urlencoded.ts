import type { Argument, BodyLimits, ParsedBody } from './body.ts'
import { tooManyArguments } from './body.ts'
import { digitOf } from './encode.ts'

type Decoded = { readonly text: string; readonly isValid: boolean }

/** Decodes `+` and `%XX` once. A `%` without two hexadecimal digits stays as it is. */
const decode = (written: string): Decoded => {
  const text = written.includes('+') ? written.replaceAll('+', ' ') : written
  let at = text.indexOf('%')
  if (at === -1) return { text, isValid: true }
  let decoded = ''
  let copied = 0
  let isValid = true
  for (; at !== -1; at = text.indexOf('%', at)) {
    const high = digitOf(text.charCodeAt(at + 1))
    const low = digitOf(text.charCodeAt(at + 2))
    if (high < 0 || low < 0) {
      isValid = false
      at++
      continue
    }
    decoded += text.slice(copied, at) + String.fromCharCode(high * 16 + low)
    at += 3
    copied = at
  }
  return { text: decoded + text.slice(copied), isValid }
}

/**
 * `a=1&b=2`: a form, or a query string. Pairs are parted by `separator`, names from values by the first `=`; a name
 * without one has an empty value, and a pair of nothing an empty name. Never malformed, as in ModSecurity.
 *
 * @param separator One character (SecArgumentSeparator).
 */
export const urlencodedBody = (body: string, limits: BodyLimits, separator = '&'): ParsedBody => {
  const args: Argument[] = []
  const isPlain = !body.includes('%') && !body.includes('+')
  let invalidEncoding = false
  let start = 0
  while (start < body.length) {
    if (args.length === limits.maxArguments)
      return { args, invalidEncoding, ...tooManyArguments(limits) }
    const found = body.indexOf(separator, start)
    const end = found === -1 ? body.length : found
    const pair = body.slice(start, end)
    const equals = pair.indexOf('=')
    const name = equals === -1 ? pair : pair.slice(0, equals)
    const value = equals === -1 ? '' : pair.slice(equals + 1)
    if (isPlain) args.push([name, value])
    else {
      const decodedName = decode(name)
      const decodedValue = decode(value)
      args.push([decodedName.text, decodedValue.text])
      invalidEncoding ||= !decodedName.isValid || !decodedValue.isValid
    }
    start = end + 1
  }
  return { args, invalidEncoding }
}
