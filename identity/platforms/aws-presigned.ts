import { createHash } from 'node:crypto'
import type { FetchQuestion } from '#http/bounded-fetch'
import { bad, good, type Outcome } from '../outcome.ts'

/** A `GetCallerIdentity` that its sender has signed and did not send. Nothing in it is verified: STS does that. */
export type SignedCallerIdentity = {
  /** What is to be asked, as it was signed. */
  readonly question: FetchQuestion & { readonly url: string }
  /** Host, with its port if that is not 443. One of those that were allowed. */
  readonly host: string
  /** It is no secret, and names nobody for ever. */
  readonly accessKeyId: string
  readonly signedAtMs: number
  readonly expiresAtMs: number
  /** SHA-256 of what is signed and its signature: the same for every spelling of one request. Base64url. */
  readonly fingerprint: string
}

export type PresignedRules = {
  /** Hosts of STS endpoints that may be asked. The caller chooses one of these, and never another. */
  readonly hosts: ReadonlySet<string>
  /** Name, in lower case, of the header that binds the request to us, and what it has to say: we say it. */
  readonly header: string
  readonly value: string
}

export const maxSignedChars = 4096
export const callerIdentityAction = 'Action=GetCallerIdentity&Version=2011-06-15'
const maxAgeMs = 900_000
const skewMs = 60_000
const maxExpiresSeconds = 900

const shape = /^https:\/\/([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)\/\?([A-Za-z0-9._~%=&-]+)$/
const fixed: Readonly<Record<string, string>> = {
  Action: 'GetCallerIdentity',
  Version: '2011-06-15',
  'X-Amz-Algorithm': 'AWS4-HMAC-SHA256',
}
/** All that may be there; the last of them need not. */
const known = [
  ...Object.keys(fixed),
  'X-Amz-Credential',
  'X-Amz-Date',
  'X-Amz-Expires',
  'X-Amz-SignedHeaders',
  'X-Amz-Signature',
  'X-Amz-Security-Token',
]
const credentialShape = /^([A-Z0-9]{16,128})\/([0-9]{8})\/[a-z0-9-]{1,32}\/sts\/aws4_request$/
const dateShape = /^([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z$/
const expiresShape = /^[1-9][0-9]{0,2}$/
const signatureShape = /^[0-9a-f]{64}$/

/**
 * Reads a presigned URL of `sts:GetCallerIdentity`. It is asked by us, of a host of the configuration, with the one header
 * that its sender had to sign: so a request that was signed for somebody else, or for nobody, is of no use here.
 *
 * @returns A fault for whatever else: another host, path, action or version, a parameter twice or one that is not known,
 *   more or fewer signed headers than `host` and ours, more than 15 minutes of life or of age.
 * @see CVE-2020-16250, CVE-2026-71861
 */
export const readPresigned = (
  url: string,
  { hosts, header, value: exchange }: PresignedRules,
  nowMs: number,
): Outcome<SignedCallerIdentity> => {
  if (url.length > maxSignedChars) return bad('it is too long')
  const [, host = '', query = ''] = shape.exec(url) ?? []
  if (query === '') return bad('it is not a URL of STS with a query')
  if (!hosts.has(host)) return bad('its host is none of `aws.endpoints`')
  const read = readQuery(query)
  if (!read.ok) return read
  const said = (name: string) => read.value.get(name) ?? ''
  for (const [name, value] of Object.entries(fixed))
    if (said(name) !== value) return bad(`its ${name} is not ${value}`)
  const signed = ['host', header].toSorted().join(';')
  if (said('X-Amz-SignedHeaders') !== signed) return bad(`its signed headers are not ${signed}`)
  const date = said('X-Amz-Date')
  const accessKeyId = accessKeyIn(said('X-Amz-Credential'), date.slice(0, 8))
  if (accessKeyId === undefined) return bad('its X-Amz-Credential is not one for STS of that day')
  const signature = said('X-Amz-Signature')
  if (!isSignature(signature)) return bad('its X-Amz-Signature is none')
  const signedAtMs = instantOf(date)
  if (signedAtMs === undefined) return bad('its X-Amz-Date is no time')
  const expires = said('X-Amz-Expires')
  if (!expiresShape.test(expires) || Number(expires) > maxExpiresSeconds)
    return bad(`its X-Amz-Expires is not 1 to ${maxExpiresSeconds}`)
  const expiresAtMs = signedAtMs + Number(expires) * 1000
  const untimely = refuseTime({ signedAtMs, expiresAtMs }, nowMs)
  if (untimely !== undefined) return bad(untimely)
  const fingerprint = createHash('sha256')
    .update([host, said('X-Amz-Credential'), date, signature].join('\n'))
    .digest('base64url')
  const question = { url: `https://${host}/?${query}`, headers: { [header]: exchange } }
  return good({ question, host, accessKeyId, signedAtMs, expiresAtMs, fingerprint })
}

/** Why a request is not to be taken now; undefined if it is. */
export const refuseTime = (
  { signedAtMs, expiresAtMs }: Pick<SignedCallerIdentity, 'signedAtMs' | 'expiresAtMs'>,
  nowMs: number,
): string | undefined => {
  if (signedAtMs > nowMs + skewMs)
    return `it was signed ${Math.ceil((signedAtMs - nowMs) / 1000)} s ahead of the clock here`
  return nowMs >= expiresAtMs || nowMs - signedAtMs > maxAgeMs ? 'it has expired' : undefined
}

/** The key that a credential scope names, if it is one for STS on that day. */
export const accessKeyIn = (credential: string, day: string): string | undefined => {
  const [, accessKeyId, ofDay] = credentialShape.exec(credential) ?? []
  return ofDay === day ? accessKeyId : undefined
}

export const isSignature = (text: string): boolean => signatureShape.test(text)

/** Names as they are, each once, with a value. */
const readQuery = (query: string): Outcome<ReadonlyMap<string, string>> => {
  const read = new Map<string, string>()
  for (const pair of query.split('&')) {
    const [name = '', value = '', ...more] = pair.split('=')
    if (!known.includes(name)) return bad('it has a parameter that is not known')
    if (read.has(name)) return bad(`it has ${name} twice`)
    const decoded = more.length === 0 && value !== '' ? decode(value) : undefined
    if (decoded === undefined) return bad(`its ${name} is not well-formed`)
    read.set(name, decoded)
  }
  return good(read)
}

const decode = (text: string): string | undefined => {
  if (/%(?![0-9A-F]{2})/.test(text)) return undefined
  try {
    const decoded = decodeURIComponent(text)
    return /^[ -~]+$/.test(decoded) ? decoded : undefined
  } catch (cause) {
    if (cause instanceof URIError) return undefined
    throw cause
  }
}

export const instantOf = (text: string): number | undefined => {
  const iso = dateShape.test(text) ? text.replace(dateShape, '$1-$2-$3T$4:$5:$6.000Z') : ''
  const ms = Date.parse(iso)
  // Date.parse takes the 30th of February for the 2nd of March.
  return Number.isNaN(ms) || new Date(ms).toISOString() !== iso ? undefined : ms
}
