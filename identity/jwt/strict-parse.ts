import { isSignatureAlgorithm, type SignatureAlgorithm } from './signature-algorithm.ts'
import { pass, type Refusal, type Result } from '#contract/problem'
import { refuseToken } from './challenge.ts'
import { parseStrictObject, type JsonObject } from '../json-strict.ts'

/** The parts of a compact JWS, proven to be well-formed. Nothing in it is verified. */
export type CompactJws = {
  readonly header: JwsHeader
  readonly payload: Buffer
  /** What was signed: header and payload as they were sent. ASCII. */
  readonly signingInput: string
  readonly signature: Buffer
}

export type JwsHeader = {
  readonly alg: SignatureAlgorithm
  /** 1 to 256 printable ASCII characters. */
  readonly kid: string
  readonly typ: string | undefined
  /** Whether it has nothing but `alg`, `kid` and `typ`. */
  readonly isPlain: boolean
  /** Of `parseIssuersJws` alone. Nothing is ever fetched from there. */
  readonly jku?: unknown
}

/** The parts of a compact JWS whose header nobody has judged. */
export type SplitJws = Omit<CompactJws, 'header'> & { readonly header: JsonObject }

/** No token is longer; nothing is done with one that is. */
export const maxTokenChars = 16_384
const maxHeaderChars = 8192
const shape = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const kidShape = /^[ -~]{1,256}$/

/**
 * Members that would change how the token is to be read, or that bring a key or an address of one along. None is ever
 * needed here, and code that meets one decides on something that nobody verified (RFC 8725 §3.9 and §3.10).
 */
const forbiddenMembers = ['crit', 'b64', 'zip', 'enc', 'jwk', 'x5u', 'x5c'] as const

/**
 * Takes a compact JWS apart before any library sees it: each check here refuses something that jose lets pass.
 *
 * @returns Refuses with `token-malformed`, or with `token-algorithm-refused` for an `alg` that is no asymmetric
 *   signature algorithm.
 * @see RFC 7515 §5.2, RFC 8725 §3
 */
export const parseCompactJws = (token: string): Result<CompactJws> => {
  const jws = parseIssuersJws(token)
  return jws.ok && jws.value.header.jku !== undefined ? refuseMember('jku') : jws
}

/**
 * The same for who knows the one `jku` that is to be let pass, and refuses any other (`refuseMember`).
 *
 * @param known Headers that need not be read again.
 */
export const parseIssuersJws = (
  token: string,
  known?: Pick<KnownHeaders, 'get'>,
): Result<CompactJws> => {
  const cut = cutJws(token)
  if (!cut.ok) return cut
  const { headerText, payload, signingInput, signature } = cut.value
  const before = known?.get(headerText)
  if (before !== undefined) return pass({ header: before, payload, signingInput, signature })
  const parsed = parseHeader(headerText)
  if (!parsed.ok) return parsed
  const header = readHeader(parsed.value)
  return header.ok ? pass({ header: header.value, payload, signingInput, signature }) : header
}

/** All tokens of one key mostly have the same header, to the letter: what it says was read before. */
export type KnownHeaders = {
  readonly get: (text: string) => JwsHeader | undefined
  /** @param signingInput Of a token whose signature was good: nobody else can fill this. */
  readonly keep: (signingInput: string, header: JwsHeader) => void
}

const maxKnownHeaders = 256
const maxKnownChars = 512

export const knownHeaders = (): KnownHeaders => {
  const known = new Map<string, JwsHeader>()
  return {
    get: (text) => known.get(text),
    keep: (signingInput, header) => {
      if (Object.isFrozen(header)) return // it came from here
      const text = signingInput.slice(0, signingInput.indexOf('.'))
      if (known.has(text) || text.length > maxKnownChars) return
      if (known.size >= maxKnownHeaders) known.clear()
      // A copy: a part of a text keeps the whole of it in memory, and that is a token.
      known.set(Buffer.from(text, 'latin1').toString('latin1'), Object.freeze(header))
    },
  }
}

/** Refuses a token for what is in its header. */
export const refuseMember = (member: string): Refusal => malformed(`its header has ${member} in it`)

/**
 * Takes a compact JWS apart without judging its header: for proofs that bring their own key.
 *
 * @returns Refuses with `token-malformed`.
 */
export const splitJws = (token: string): Result<SplitJws> => {
  const cut = cutJws(token)
  if (!cut.ok) return cut
  const { headerText, payload, signingInput, signature } = cut.value
  const header = parseHeader(headerText)
  return header.ok ? pass({ header: header.value, payload, signingInput, signature }) : header
}

type CutJws = Omit<CompactJws, 'header'> & { readonly headerText: string }

/** Of the header only that it is of the alphabet and not too long. */
const cutJws = (token: string): Result<CutJws> => {
  if (token.length > maxTokenChars) return malformed('it is too long')
  if (!shape.test(token)) return malformed('it is not three base64url parts')
  const [header = '', payload = '', signature = ''] = token.split('.')
  if (header.length > maxHeaderChars) return malformed('its header is too long')
  const payloadBytes = decodeCanonical(payload)
  const signatureBytes = decodeCanonical(signature)
  if (!payloadBytes || !signatureBytes) return notCanonical
  return pass({
    headerText: header,
    payload: payloadBytes,
    signingInput: token.slice(0, header.length + 1 + payload.length),
    signature: signatureBytes,
  })
}

const parseHeader = (text: string): Result<JsonObject> => {
  const bytes = decodeCanonical(text)
  if (!bytes) return notCanonical
  const parsed = parseStrictObject(bytes)
  return parsed.ok ? pass(parsed.value) : malformed('its header is not acceptable', parsed.fault)
}

/**
 * The claims of a token, not verified and not frozen.
 *
 * @returns Refuses with `token-malformed`.
 */
export const parseClaims = (jws: Pick<CompactJws, 'payload'>): Result<JsonObject> => {
  const claims = parseStrictObject(jws.payload)
  return claims.ok ? pass(claims.value) : malformed('its payload is not acceptable', claims.fault)
}

const readHeader = (header: JsonObject): Result<JwsHeader> => {
  const { alg, kid, typ } = header
  for (const member of forbiddenMembers)
    if (Object.hasOwn(header, member)) return refuseMember(member)
  // `none`, HS* and whatever else is no signature of an issuer, in whichever case it is spelt.
  if (!isSignatureAlgorithm(alg))
    return refuseToken('token-algorithm-refused', 'The algorithm of the token is not accepted')
  if (typeof kid !== 'string' || !kidShape.test(kid))
    return malformed('its header has no usable kid')
  if (typ !== undefined && typeof typ !== 'string')
    return malformed('its header has a typ that is not a string')
  const isPlain = Object.keys(header).length === (typ === undefined ? 2 : 3)
  return pass({
    alg,
    kid,
    typ,
    isPlain,
    ...(Object.hasOwn(header, 'jku') ? { jku: header['jku'] } : {}),
  })
}

/**
 * Decodes what is of the alphabet and can be spelt in one way only. Decoders skip padding and ignore the last bits of the last character, so
 * one token would have many spellings: each a new key for caches, replay stores and quarantine.
 */
const decodeCanonical = (part: string): Buffer | undefined => {
  const last = part.charAt(part.length - 1)
  switch (part.length % 4) {
    case 1:
      return undefined
    case 2:
      return endsOneByte.includes(last) ? Buffer.from(part, 'base64url') : undefined
    case 3:
      return endsTwoBytes.includes(last) ? Buffer.from(part, 'base64url') : undefined
    default:
      return Buffer.from(part, 'base64url')
  }
}

/** Last characters whose bits that belong to no byte are all zero (RFC 4648 §3.5). */
const endsOneByte = 'AQgw'
const endsTwoBytes = 'AEIMQUYcgkosw048'

const malformed = (why: string, cause?: string): Refusal =>
  refuseToken('token-malformed', `The token is malformed: ${why}`, cause)
const notCanonical = malformed('a part of it is not canonical base64url')
