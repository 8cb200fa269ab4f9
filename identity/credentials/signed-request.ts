import { createHash, timingSafeEqual } from 'node:crypto'
import { bad, good, type Outcome } from '../outcome.ts'

/** A request as its signature covers it. */
export type SignableRequest = {
  readonly method: string
  /** The one that callers know us by, from the configuration: a request that was signed for another server is not for us. */
  readonly authority: string
  readonly path: string
  /** With its `?`; '' if there is none. */
  readonly query: string
  readonly headers: Readonly<Record<string, string | undefined>>
  /** `elsewhere` where whoever has it compares it with the signed digest (`isDigestOf`). */
  readonly body: Buffer | 'none' | 'elsewhere'
}

/** A signature that is well-formed and covers all that it must; who made it is for the caller to check. */
export type RequestSignature = {
  readonly keyId: string
  readonly nonce: string
  /** When the signature must not be accepted any more. */
  readonly spentUntilMs: number
  /** The signature base: ASCII. */
  readonly base: string
  readonly signature: Buffer
  readonly algorithm: string | undefined
}

/** What must be signed: without it a signature could be put on another request. */
const mustCover = ['@method', '@authority', '@path'] as const
const mustCoverOfBody = ['content-digest', 'content-type'] as const
/** Fields that mean something to us or to services: one that came must be signed. */
export const meaningfulFields = [
  'authorization',
  'dpop',
  'x-api-key',
  'x-request-id',
  'cookie',
  'content-type',
  'content-encoding',
  'content-digest',
] as const
const windowMs = 300_000
const maxChars = 4096

const inputShape =
  /^[a-z*][a-z0-9_.*-]{0,63}=(\(((?:"[a-z0-9@-]{1,64}"(?: (?=")|(?=\))))+)\)((?:;[a-z]{1,16}=(?:"[ !#-[\]-~]{0,256}"|\d{1,12}))*))$/
const signatureShape = /^[a-z*][a-z0-9_.*-]{0,63}=:([A-Za-z0-9+/]{1,1024}={0,2}):$/
const digestShape = /^(sha-256|sha-512)=:([A-Za-z0-9+/]{40,90}={0,2}):$/

/**
 * Reads the one signature of a request and checks all of it but who made it: that it covers method, authority, path,
 * query, type and digest of the body, and every other field that means something; that the digest is that of the body; and that it was
 * made within five minutes of now.
 *
 * @returns A fault says what is wrong, for the record.
 * @see RFC 9421 §2 and §3.2, RFC 9530 §2
 */
export const readRequestSignature = (
  request: SignableRequest,
  nowMs: number,
): Outcome<RequestSignature> => {
  const { headers, body } = request
  const input = headers['signature-input'] ?? ''
  const value = headers['signature'] ?? ''
  if (input.length > maxChars || value.length > maxChars) return bad('its signature is too long')
  const [, params, list, more] = inputShape.exec(input) ?? []
  const [, base64] = signatureShape.exec(value) ?? []
  if (params === undefined || list === undefined || base64 === undefined)
    return bad('it has not exactly one signature in a form that is read here')
  if (input.slice(0, input.indexOf('=')) !== value.slice(0, value.indexOf('=')))
    return bad('Signature and Signature-Input are of two signatures')

  const covered = list.split(' ').map((quoted) => quoted.slice(1, -1))
  if (new Set(covered).size !== covered.length) return bad('it covers something twice')
  const wanted = [
    ...mustCover,
    ...(request.query === '' ? [] : ['@query']),
    ...(body === 'none' ? [] : mustCoverOfBody),
  ]
  const missing = wanted.find((name) => !covered.includes(name))
  if (missing !== undefined) return bad(`its signature does not cover ${missing}`)
  const loose = meaningfulFields.find(
    (name) => headers[name] !== undefined && !covered.includes(name),
  )
  if (loose !== undefined) return bad(`its signature does not cover ${loose}, which came with it`)
  if (Buffer.isBuffer(body) && !isDigestOf(headers['content-digest'] ?? '', body))
    return bad('its Content-Digest is not that of its body')

  const base: string[] = []
  for (const name of covered) {
    const component = componentOf(name, request)
    if (component === undefined) return bad(`its signature covers ${name}, which is not there`)
    base.push(`"${name}": ${component}`)
  }
  base.push(`"@signature-params": ${params}`)
  const times = readParameters(more ?? '', nowMs)
  if (!times.ok) return times
  return good({
    ...times.value,
    base: base.join('\n'),
    signature: Buffer.from(base64, 'base64'),
  })
}

const componentOf = (name: string, request: SignableRequest): string | undefined => {
  switch (name) {
    case '@method':
      return request.method
    case '@authority':
      return request.authority
    case '@path':
      return request.path
    case '@query':
      return request.query === '' ? '?' : request.query
    case '@target-uri':
      return `https://${request.authority}${request.path}${request.query}`
    case '@scheme':
      return 'https'
    default:
      return name.startsWith('@') || !Object.hasOwn(request.headers, name)
        ? undefined
        : request.headers[name]?.trim()
  }
}

const readParameters = (
  text: string,
  nowMs: number,
): Outcome<Omit<RequestSignature, 'base' | 'signature'>> => {
  const parameters = new Map<string, string>()
  for (const [, name = '', quoted, digits] of text.matchAll(/;([a-z]+)=(?:"([^"]*)"|(\d+))/g)) {
    if (parameters.has(name)) return bad(`its parameter ${name} came twice`)
    const isInstant = name === 'created' || name === 'expires'
    if (isInstant !== (digits !== undefined)) return bad(`its parameter ${name} is of another type`)
    parameters.set(name, digits ?? quoted ?? '')
  }
  const createdMs = Number(parameters.get('created') ?? NaN) * 1000
  const expiresMs = Number(parameters.get('expires') ?? Infinity) * 1000
  const keyId = parameters.get('keyid') ?? ''
  const nonce = parameters.get('nonce') ?? ''
  if (!(Math.abs(nowMs - createdMs) <= windowMs)) return bad('it was not signed just now')
  if (expiresMs <= nowMs) return bad('its signature has ended')
  if (keyId === '') return bad('its signature names no key')
  if (nonce.length < 8) return bad('its signature has no nonce of eight characters or more')
  return good({
    keyId,
    nonce,
    spentUntilMs: createdMs + 2 * windowMs,
    algorithm: parameters.get('alg'),
  })
}

/** Whether a `Content-Digest` is that of a body. @see RFC 9530 §2 */
export const isDigestOf = (header: string, body: Buffer): boolean => {
  const [, algorithm, base64 = ''] = digestShape.exec(header) ?? []
  if (algorithm === undefined) return false
  const digest = createHash(algorithm.replace('-', '')).update(body).digest()
  const given = Buffer.from(base64, 'base64')
  return given.length === digest.length && timingSafeEqual(given, digest)
}
