import { pass, refuse, type Result } from '#contract/problem'

/** Values by name, in order of arrival. */
export type Form = ReadonlyMap<string, readonly string[]>

const maxParameters = 32

/**
 * Reads an `application/x-www-form-urlencoded` body strictly: percent-encoding must be right and UTF-8, each pair has one
 * `=`, and a parameter without a value counts as left out (RFC 6749 §3.2), yet may not be there twice.
 *
 * @returns Values by name, in order of arrival. Refuses with `request-malformed`.
 */
export const parseForm = (body: Buffer): Result<Form> => {
  const parameters = new Map<string, string[]>()
  const pairs = body.length === 0 ? [] : body.toString('latin1').split('&')
  if (pairs.length > maxParameters) return malformed('too many parameters')
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    if (equals < 1 || pair.includes('=', equals + 1))
      return malformed('a pair is not a name, one = and a value')
    const name = decode(pair.slice(0, equals))
    const value = decode(pair.slice(equals + 1))
    if (name === undefined || value === undefined) return malformed('wrong percent-encoding')
    const values = parameters.get(name)
    if (values === undefined) parameters.set(name, [value])
    else values.push(value)
  }
  return pass(parameters)
}

const malformed = (detail: string) => refuse('request-malformed', { detail })

/**
 * Undefined for a `%` without two hex digits, bytes beyond ASCII that are not encoded, UTF-8 that is none, and control
 * characters. Most values (a token is nearly all of a form) have nothing to decode and are found so in one pass.
 */
const decode = (text: string): string | undefined => {
  if (plain.test(text)) return text
  if (!encoded.test(text)) return undefined
  const decoded = decodePercent(text.replaceAll('+', ' '))
  return decoded === undefined || control.test(decoded) ? undefined : decoded
}

const plain = /^[\w.~*:/-]*$/
const encoded = /^[\x21-\x7e]*$/
// oxlint-disable-next-line no-control-regex -- they are what it looks for
const control = /[\0-\x1f\x7f]/

const decodePercent = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text) // refuses overlong UTF-8 and lone surrogates too
  } catch (cause) {
    if (cause instanceof URIError) return undefined
    throw cause
  }
}
