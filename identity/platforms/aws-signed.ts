import { createHash } from 'node:crypto'
import { parseStrictObject, isJsonObject, type JsonObject } from '../json-strict.ts'
import { bad, good, type Outcome } from '../outcome.ts'
import {
  accessKeyIn,
  callerIdentityAction,
  instantOf,
  isSignature,
  maxSignedChars,
  refuseTime,
  type PresignedRules,
  type SignedCallerIdentity,
} from './aws-presigned.ts'

/** AWS takes a request whose signature is in a header for five minutes. */
const lifeMs = 300_000
const maxDepth = 3
const shape = /^https:\/\/([a-z0-9.-]{1,253}(?::[0-9]{1,5})?)\/(?:\?([A-Za-z=&0-9-]{1,100}))?$/
const authorizationShape =
  /^AWS4-HMAC-SHA256 Credential=([^ ,]+), ?SignedHeaders=([a-z0-9;-]+), ?Signature=([^ ,]+)$/
const formType = /^application\/x-www-form-urlencoded(?:; ?charset=utf-8)?$/i
/** What may be there besides ours. All but the first and the last three have to be signed. */
const known = [
  'authorization',
  'host',
  'x-amz-date',
  'x-amz-security-token',
  'x-amz-content-sha256',
  'content-type',
  'accept',
  'content-length',
  'user-agent',
]
const mayBeUnsigned = ['authorization', 'accept', 'content-length', 'user-agent']
/** Set anew by whoever sends it, or meaning nothing. */
const notSent = ['authorization', 'host', 'accept', 'content-length', 'user-agent']

/**
 * Reads a `POST` of `sts:GetCallerIdentity` whose signature is in its headers, as SDKs sign: a JSON object of `method`, `url`,
 * `headers` (each a text, or a list of one, or the list of `{ key, value }` that Google's libraries write) and `body`. What is
 * asked stands in the query or in the body. We ask it of a host of the configuration with the headers that were signed and no
 * others, ours with our own value.
 *
 * @returns A fault for whatever else, as `readPresigned`.
 * @see CVE-2020-16250, CVE-2026-71861
 */
export const readSignedPost = (
  text: string,
  { hosts, header, value }: PresignedRules,
  nowMs: number,
): Outcome<SignedCallerIdentity> => {
  if (text.length > maxSignedChars) return bad('it is too long')
  const parsed = parseStrictObject(Buffer.from(text), maxDepth)
  if (!parsed.ok) return bad(`it is no JSON object: ${parsed.fault}`)
  const { method, url, headers: said, body = '', ...more } = parsed.value
  if (Object.keys(more).length > 0) return bad('it has a member that is not known')
  if (method !== 'POST' || typeof url !== 'string' || typeof body !== 'string')
    return bad('it is not a POST with a url and a body')
  const [matched, host = '', query = ''] = shape.exec(url) ?? []
  if (matched === undefined) return bad('its url is not that of STS')
  if (!hosts.has(host)) return bad('its host is none of `aws.endpoints`')
  if (![query, body].some(isAction) || (query !== '' && body !== ''))
    return bad('what it asks is not `Action=GetCallerIdentity&Version=2011-06-15`')
  const headers = readHeaders(said, [...known, header])
  if (!headers.ok) return headers
  const of = (name: string) => headers.value.get(name)
  const [, credential = '', signedText = '', signature = ''] =
    authorizationShape.exec(of('authorization') ?? '') ?? []
  const signed = signedText.split(';')
  const unfit =
    unfitHeaders(headers.value, signed, { host, header, value }) ??
    (body !== '' && !formType.test(of('content-type') ?? '') ? 'its body is no form' : undefined) ??
    ((of('content-length') ?? String(body.length)) === String(body.length)
      ? undefined
      : 'its content-length is not that of its body') ??
    ((of('x-amz-content-sha256') ?? sha256(body)) === sha256(body)
      ? undefined
      : 'its x-amz-content-sha256 is not that of its body')
  if (unfit !== undefined) return bad(unfit)
  const date = of('x-amz-date') ?? ''
  const accessKeyId = accessKeyIn(credential, date.slice(0, 8))
  if (accessKeyId === undefined) return bad('its Credential is not one for STS of that day')
  if (!isSignature(signature)) return bad('its Signature is none')
  const signedAtMs = instantOf(date)
  if (signedAtMs === undefined) return bad('its x-amz-date is no time')
  const expiresAtMs = signedAtMs + lifeMs
  const untimely = refuseTime({ signedAtMs, expiresAtMs }, nowMs)
  if (untimely !== undefined) return bad(untimely)
  const sent = [...headers.value].filter(([name]) => !notSent.includes(name) && name !== header)
  return good({
    host,
    question: {
      method: 'POST',
      url,
      body,
      headers: {
        ...Object.fromEntries(sent),
        authorization: of('authorization') ?? '',
        [header]: value,
      },
    },
    accessKeyId,
    signedAtMs,
    expiresAtMs,
    fingerprint: createHash('sha256')
      .update([host, credential, date, signature].join('\n'))
      .digest('base64url'),
  })
}

const sha256 = (body: string): string => createHash('sha256').update(body).digest('hex')

const isAction = (text: string): boolean =>
  callerIdentityAction === text || callerIdentityAction.split('&').toReversed().join('&') === text

const unfitHeaders = (
  headers: ReadonlyMap<string, string>,
  signed: readonly string[],
  { host, header, value }: Pick<PresignedRules, 'header' | 'value'> & { readonly host: string },
): string | undefined => {
  if (signed.join(';') !== [...new Set(signed)].toSorted().join(';'))
    return 'its signed headers are not in order'
  for (const name of ['host', 'x-amz-date', header])
    if (!signed.includes(name)) return `its ${name} is not signed`
  // Of ours its name alone has to be there: its value is what we say.
  const present = [...headers.keys(), 'host', header]
  const unsigned = present.find((name) => !mayBeUnsigned.includes(name) && !signed.includes(name))
  if (unsigned !== undefined) return `its ${unsigned} is not signed`
  const missing = signed.find((name) => !present.includes(name))
  if (missing !== undefined) return `its ${missing} is signed and not there`
  // These we set ourselves, or leave out: signed with another value the signature would not fit anyway.
  for (const name of ['accept', 'user-agent', 'authorization'])
    if (signed.includes(name)) return `its ${name} must not be signed`
  if ((headers.get('host') ?? host) !== host) return 'its host header is of another host'
  return (headers.get(header) ?? value) === value ? undefined : `its ${header} names another`
}

/** By their names in lower case, each once, with the values as they were signed. */
const readHeaders = (
  said: unknown,
  names: readonly string[],
): Outcome<ReadonlyMap<string, string>> => {
  const pairs = pairsOf(said)
  if (pairs === undefined) return bad('it has no headers')
  const headers = new Map<string, string>()
  for (const [spelt, given] of pairs) {
    const name = spelt.toLowerCase()
    const text = Array.isArray(given) && given.length === 1 ? (given as unknown[])[0] : given
    if (!names.includes(name)) return bad('it has a header that is not known')
    if (headers.has(name)) return bad(`it has ${name} twice`)
    if (typeof text !== 'string' || !/^[!-~](?:[ -~]*[!-~])?$/.test(text))
      return bad(`its ${name} is not one line`)
    headers.set(name, text)
  }
  return good(headers)
}

const pairsOf = (said: unknown): readonly (readonly [string, unknown])[] | undefined => {
  if (isJsonObject(said)) return Object.entries(said)
  if (!Array.isArray(said)) return undefined
  const pairs = said.map((one: unknown) => (isJsonObject(one) ? pairOf(one) : undefined))
  return pairs.every((pair) => pair !== undefined) ? pairs : undefined
}

const pairOf = ({ key, value, ...more }: JsonObject): readonly [string, unknown] | undefined =>
  typeof key === 'string' && Object.keys(more).length === 0 ? [key, value] : undefined
