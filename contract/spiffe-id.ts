import { pass, refuse, type Result } from './problem.ts'

declare const brand: unique symbol

/** A SPIFFE ID that passed the grammar, always lower-case in scheme and trust domain. */
export type SpiffeId = string & { readonly [brand]: 'SpiffeId' }

/** A trust domain name that passed the grammar. */
export type TrustDomain = string & { readonly [brand]: 'TrustDomain' }

const maxIdBytes = 2048
const maxTrustDomainBytes = 255
const trustDomainPattern = /^[a-z0-9._-]+$/
const segmentPattern = /^[A-Za-z0-9._-]+$/
const scheme = 'spiffe://'

/**
 * Reads a trust domain name.
 *
 * @returns Refuses with `spiffe-id-invalid` what the standard does not allow.
 * @see SPIFFE-ID §2.1
 */
export const parseTrustDomain = (text: string): Result<TrustDomain> =>
  text.length <= maxTrustDomainBytes && trustDomainPattern.test(text)
    ? pass(text as TrustDomain)
    : invalid(text)

/**
 * Reads a SPIFFE ID from its raw string. `new URL()` would resolve dot segments first, so it is not used.
 * Upper case in scheme or trust domain is refused, as go-spiffe does.
 *
 * @returns Refuses with `spiffe-id-invalid` what the standard does not allow.
 * @see SPIFFE-ID §2
 */
export const parseSpiffeId = (text: string): Result<SpiffeId> => {
  if (text.length > maxIdBytes || !text.startsWith(scheme)) return invalid(text)
  const slash = text.indexOf('/', scheme.length)
  const domain = slash < 0 ? text.slice(scheme.length) : text.slice(scheme.length, slash)
  if (!parseTrustDomain(domain).ok) return invalid(text)
  if (slash < 0) return pass(text as SpiffeId)
  for (const segment of text.slice(slash + 1).split('/'))
    if (segment === '.' || segment === '..' || !segmentPattern.test(segment)) return invalid(text)
  return pass(text as SpiffeId)
}

/** Whether `text` may stand as one path segment of a SPIFFE ID. */
export const isSpiffeSegment = (text: string): boolean =>
  text !== '.' && text !== '..' && segmentPattern.test(text)

export const trustDomainOf = (id: SpiffeId): TrustDomain => {
  const slash = id.indexOf('/', scheme.length)
  return (slash < 0 ? id.slice(scheme.length) : id.slice(scheme.length, slash)) as TrustDomain
}

/** The path with its leading slash, or '' for a trust domain's own ID. */
export const spiffePathOf = (id: SpiffeId): string => {
  const slash = id.indexOf('/', scheme.length)
  return slash < 0 ? '' : id.slice(slash)
}

const invalid = (text: string) =>
  refuse('spiffe-id-invalid', { cause: `not a SPIFFE ID: ${JSON.stringify(text.slice(0, 200))}` })
