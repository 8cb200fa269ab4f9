import { hopByHopNames } from './reserved-headers.ts'

const hopByHop: ReadonlySet<string> = new Set(hopByHopNames)
const tokenPattern = /^[a-z0-9!#$%&'*+.^_`|~-]+$/

/** Whether a header is meant for the next hop alone. `name` must be lower-case. */
export const isHopByHop = (name: string): boolean => hopByHop.has(name)

/**
 * The names that a Connection header lists, lower-case.
 *
 * @returns undefined if it is not a list of tokens.
 * @see RFC 9110 §7.6.1
 */
export const connectionOptions = (value: string): readonly string[] | undefined => {
  const names = value
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '') // empty elements are allowed, RFC 9110 §5.6.1.2
  return names.every((name) => tokenPattern.test(name)) ? names : undefined
}

/**
 * The end-to-end headers of an answer: without hop-by-hop ones and those that its Connection header names.
 *
 * @param raw Name, value, name, value …; bytes are read as latin1.
 * @returns The same list with names in lower case.
 * @see RFC 9110 §7.6.1
 */
export const endToEndHeaders = (raw: readonly (string | Buffer)[]): string[] => {
  const kept: string[] = []
  let nominated: readonly string[] | undefined
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = textOf(raw[i]).toLowerCase()
    const value = textOf(raw[i + 1])
    if (name === 'connection')
      nominated = [...(nominated ?? []), ...(connectionOptions(value) ?? [])]
    else if (!hopByHop.has(name)) kept.push(name, value)
  }
  return nominated === undefined ? kept : withoutNames(kept, nominated)
}

/**
 * Whether an answer says that its body is coded for the way besides being chunked. Parsers take the chunks off and leave the
 * rest, and what is left would go on as if it were the body itself.
 *
 * @see RFC 9112 §6.1
 */
export const isTransferCoded = (raw: readonly (string | Buffer)[]): boolean =>
  raw.some(
    (part, i) =>
      i % 2 === 0 &&
      textOf(part).toLowerCase() === 'transfer-encoding' &&
      textOf(raw[i + 1])
        .trim()
        .toLowerCase() !== 'chunked',
  )

/** A flat list of headers without those named. */
export const withoutNames = (headers: readonly string[], names: readonly string[]): string[] => {
  const kept: string[] = []
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const [name = '', value = ''] = [headers[i], headers[i + 1]]
    if (!names.includes(name)) kept.push(name, value)
  }
  return kept
}

const textOf = (part: string | Buffer | undefined): string =>
  typeof part === 'string' ? part : (part?.toString('latin1') ?? '')
