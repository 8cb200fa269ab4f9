import { reservedNames, reservedPrefixes, hopByHopNames } from './reserved-headers.ts'

/** Of one answer. */
const maxFields = 64
const maxBytes = 16_384

/**
 * What may not come behind a body: it says how a message is framed, by whom it may be kept, what it is, who its sender is or
 * where to go next, and whoever merged it into the head would be told so too late, or by somebody else.
 *
 * @see RFC 9110 §6.5.1
 */
const forbiddenNames: ReadonlySet<string> = new Set([
  ...hopByHopNames,
  ...reservedNames,
  'host',
  'content-length',
  'content-type',
  'content-encoding',
  'content-range',
  'content-disposition',
  'content-location',
  'content-security-policy',
  'cache-control',
  'age',
  'date',
  'expires',
  'pragma',
  'vary',
  'warning',
  'location',
  'refresh',
  'retry-after',
  'set-cookie',
  'set-cookie2',
  'cookie',
  'authorization',
  'www-authenticate',
  'dpop-nonce',
  'max-forwards',
  'range',
  'alt-svc',
  'clear-site-data',
  'strict-transport-security',
])
const forbiddenPrefixes = [...reservedPrefixes, 'access-control-', 'proxy-', 'sec-'] as const

/**
 * The trailers of an answer that may go on to a caller: without those that must not come behind a body.
 *
 * @param trailers Name, value, name, value …: names lower-case.
 * @returns undefined if they are more than one answer may have (64 fields, 16 KiB). They cannot be cut short: what is left
 *   would say something else.
 */
export const answerTrailers = (trailers: readonly string[]): readonly string[] | undefined => {
  if (trailers.length === 0) return trailers
  if (trailers.length > 2 * maxFields) return undefined
  const kept: string[] = []
  let bytes = 0
  for (let i = 0; i + 1 < trailers.length; i += 2) {
    const name = trailers[i] as string
    const value = trailers[i + 1] as string
    bytes += name.length + value.length
    if (!isForbidden(name)) kept.push(name, value)
  }
  return bytes > maxBytes ? undefined : kept
}

const isForbidden = (name: string): boolean =>
  forbiddenNames.has(name) || forbiddenPrefixes.some((prefix) => name.startsWith(prefix))
