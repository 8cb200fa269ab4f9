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
/** A trust domain, and segments none of which is empty, `.` or `..`. In one go: it is asked several times a request. */
const idPattern = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)*$/

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
export const parseSpiffeId = (text: string): Result<SpiffeId> =>
  text.length <= maxIdBytes && idPattern.test(text) ? pass(text as SpiffeId) : invalid(text)

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
