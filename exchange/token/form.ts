import { pass, refuse, type Result } from '#contract/problem'

const maxParameters = 32
const pairPattern = /^([^=]+)=([^=]*)$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads an `application/x-www-form-urlencoded` body strictly: percent-encoding must be right and UTF-8, each pair has one
 * `=`, and a parameter without a value counts as left out (RFC 6749 §3.2), yet may not be there twice.
 *
 * @returns Values by name, in order of arrival. Refuses with `request-malformed`.
 */
export const parseForm = (body: Buffer): Result<ReadonlyMap<string, readonly string[]>> => {
  const parameters = new Map<string, string[]>()
  const pairs = body.length === 0 ? [] : body.toString('latin1').split('&')
  if (pairs.length > maxParameters) return malformed('too many parameters')
  for (const pair of pairs) {
    const [, rawName, rawValue] = pairPattern.exec(pair) ?? []
    if (rawName === undefined || rawValue === undefined) return malformed('a pair without =')
    const name = decode(rawName)
    const value = decode(rawValue)
    if (name === undefined || value === undefined) return malformed('wrong percent-encoding')
    const values = parameters.get(name)
    if (values === undefined) parameters.set(name, [value])
    else values.push(value)
  }
  return pass(parameters)
}

const malformed = (detail: string) => refuse('request-malformed', { detail })

/** Undefined for a `%` without two hex digits, bytes beyond ASCII that are not encoded, control characters, bad UTF-8. */
const decode = (text: string): string | undefined => {
  if (!/^(?:[\x21-\x24\x26-\x7e]|%[0-9A-Fa-f]{2})*$/.test(text)) return undefined
  const bytes = text
    .replaceAll('+', ' ')
    .replaceAll(/%(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  try {
    const decoded = utf8.decode(Buffer.from(bytes, 'latin1'))
    return hasControls(decoded) ? undefined : decoded
  } catch {
    return undefined
  }
}

const hasControls = (text: string): boolean => {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code < 0x20 || code === 0x7f) return true
  }
  return false
}
