import { KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, errors, importJWK, type JWK } from 'jose'
import { bad, good, type Outcome } from '../outcome.ts'
import { isJsonObject, parseStrictObject, type JsonObject } from '../json-strict.ts'
import { withKeyOfCertificate } from './jwk-of-certificate.ts'
import { isRocaModulus } from './roca.ts'
import {
  isSignatureAlgorithm,
  signatureAlgorithmShapes,
  type AlgorithmShape,
  type SignatureAlgorithm,
} from './signature-algorithm.ts'

/** A key of an issuer, bound to the one algorithm that it is for. */
export type VerificationKey = {
  readonly kid: string
  readonly algorithm: SignatureAlgorithm
  /** RFC 7638, SHA-256: two keys with the same one are the same key. */
  readonly thumbprint: string
  /** Its public members and no others. */
  readonly jwk: Readonly<Record<string, unknown>>
  /** @param signingInput ASCII. */
  readonly verify: (signingInput: string, signature: Buffer) => boolean
}

/** The usable keys of one issuer by `kid`, and why others are not. */
export type KeySet = {
  readonly keys: ReadonlyMap<string, VerificationKey>
  /** For operators: one line for each key that was left out. */
  readonly ignored: readonly string[]
}

export const maxJwksBytes = 524_288
const maxKeys = 100
const maxKidChars = 256
const minRsaBits = 2048
const maxRsaBits = 8192
const maxDepth = 8

/** Members of a JWK that must never be public. */
export const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'] as const

/**
 * Reads a JWK Set of an issuer and takes from it the keys that may verify signatures.
 *
 * The whole set is refused when it is malformed, has more than 100 keys, gives one `kid` to two keys, has key material
 * in it that must never be public (whoever publishes that has lost its keys), or has no usable key: then the keys from
 * before stay. A single key that is weak, broken or for something else is left out.
 *
 * A key without `alg` is bound to the first of `algorithms` that fits it.
 *
 * @param algorithms Those that the issuer may use, by preference.
 * @param asCertificates Whether a key may be there as a certificate alone.
 * @see RFC 7517 §4 and §5, RFC 8725 §3.1 and §3.5
 */
export const acceptJwkSet = async (
  bytes: Uint8Array,
  algorithms: readonly SignatureAlgorithm[],
  asCertificates = false,
): Promise<Outcome<KeySet>> => {
  const set = readJwkSet(bytes)
  if (!set.ok) return set
  const { keys } = set.value
  return acceptKeys(asCertificates ? keys.map(withKeyOfCertificate) : keys, algorithms)
}

export type JwkSet = JsonObject & { readonly keys: readonly JsonObject[] }

/** Reads the text of a JWK Set of bounded size, and looks at no key yet. */
export const readJwkSet = (bytes: Uint8Array): Outcome<JwkSet> => {
  if (bytes.length > maxJwksBytes) return bad(`the key set is larger than ${maxJwksBytes} bytes`)
  const parsed = parseStrictObject(bytes, maxDepth)
  if (!parsed.ok) return bad(`the key set is not acceptable: ${parsed.fault}`)
  const { keys } = parsed.value
  if (!Array.isArray(keys)) return bad('the key set has no list `keys`')
  if (keys.length > maxKeys) return bad(`the key set has more than ${maxKeys} keys`)
  if (!keys.every(isJsonObject)) return bad('a key of the set is not an object')
  return good({ ...parsed.value, keys })
}

const acceptKeys = async (
  members: readonly JsonObject[],
  algorithms: readonly SignatureAlgorithm[],
): Promise<Outcome<KeySet>> => {
  const keys = new Map<string, VerificationKey>()
  const ignored: string[] = []
  const seen = new Set<string>()
  for (const member of members) {
    if (member.kty === 'oct' || privateMembers.some((name) => Object.hasOwn(member, name)))
      return bad('the key set has secret key material in it')
    if (!isForSignatures(member)) continue
    if (typeof member.kid === 'string') {
      if (seen.has(member.kid)) return bad(`the key set has two keys ${shown(member.kid)}`)
      seen.add(member.kid)
    }
    const key = await acceptJwk(member, algorithms)
    if (key.ok) keys.set(key.value.kid, key.value)
    else ignored.push(key.fault)
  }
  if (keys.size === 0)
    return bad(
      `the key set has no usable key${ignored.length > 0 ? `: ${ignored.join('; ')}` : ''}`,
    )
  return good({ keys, ignored })
}

/** `use` and `key_ops` are optional; a key for encryption is no fault of the set. */
const isForSignatures = ({ use, key_ops: operations }: JsonObject): boolean =>
  (use === undefined || use === 'sig') &&
  (operations === undefined ||
    (Array.isArray(operations) && operations.length === 1 && operations[0] === 'verify'))

/**
 * Makes a verification key of one JWK, whatever its `use` says.
 *
 * @returns A fault says which rule it breaks: no usable `kid`, an algorithm that is not accepted or does not fit, a
 *   wrong curve or a point that is not on it, RSA outside 2048 to 8192 bits, an exponent other than 65537, ROCA.
 */
export const acceptJwk = async (
  jwk: JsonObject,
  algorithms: readonly SignatureAlgorithm[],
): Promise<Outcome<VerificationKey>> => {
  const { kid } = jwk
  if (typeof kid !== 'string' || kid.length === 0 || kid.length > maxKidChars)
    return bad('a key has no usable kid')
  const algorithm = algorithmOf(jwk, algorithms)
  if (!algorithm.ok) return bad(`key ${shown(kid)}: ${algorithm.fault}`)
  const publicJwk = publicMembersOf(jwk, algorithm.value)
  if (!publicJwk.ok) return bad(`key ${shown(kid)}: ${publicJwk.fault}`)
  const imported = await importPublicKey(publicJwk.value, algorithm.value)
  if (!imported) return bad(`key ${shown(kid)}: it is not a key of its type`)
  const { verify } = signatureAlgorithmShapes[algorithm.value]
  return good({
    kid,
    algorithm: algorithm.value,
    thumbprint: await calculateJwkThumbprint(publicJwk.value),
    jwk: { ...publicJwk.value },
    verify: (signingInput, signature) =>
      verify(Buffer.from(signingInput, 'latin1'), imported, signature),
  })
}

/** One key, one algorithm: what the key says, or the first of the issuer's that it fits. */
const algorithmOf = (
  jwk: JsonObject,
  algorithms: readonly SignatureAlgorithm[],
): Outcome<SignatureAlgorithm> => {
  if (jwk.alg === undefined) {
    const fitting = algorithms.find((algorithm) => fits(jwk, algorithm))
    return fitting === undefined ? bad('it fits no accepted algorithm') : good(fitting)
  }
  if (!isSignatureAlgorithm(jwk.alg) || !algorithms.includes(jwk.alg))
    return bad('its algorithm is not accepted')
  return fits(jwk, jwk.alg) ? good(jwk.alg) : bad('its type or curve is not that of its algorithm')
}

const fits = (jwk: JsonObject, algorithm: SignatureAlgorithm): boolean => {
  const { kty, crv } = shapeOf(algorithm)
  return jwk.kty === kty && (crv === undefined || jwk.crv === crv)
}

/** Only what makes the key, so that nothing else in a JWK reaches a library. */
const publicMembersOf = (jwk: JsonObject, algorithm: SignatureAlgorithm): Outcome<JWK> => {
  const { kty, crv, coordinateBytes = 0 } = shapeOf(algorithm)
  switch (kty) {
    case 'EC': {
      const [x, y] = [bytesOf(jwk.x), bytesOf(jwk.y)]
      if (x?.length !== coordinateBytes || y?.length !== coordinateBytes)
        return bad('its coordinates are not as long as its curve wants')
      return good({ kty, crv: crv ?? '', x: String(jwk.x), y: String(jwk.y) })
    }
    case 'OKP':
      if (bytesOf(jwk.x)?.length !== coordinateBytes)
        return bad('its point is not as long as its curve wants')
      return good({ kty, crv: crv ?? '', x: String(jwk.x) })
    case 'RSA': {
      const fault = faultOfRsa(bytesOf(jwk.n), bytesOf(jwk.e))
      if (fault !== undefined) return bad(fault)
      return good({ kty, n: String(jwk.n), e: String(jwk.e) })
    }
    default:
      return kty satisfies never
  }
}

const shapeOf = (algorithm: SignatureAlgorithm): AlgorithmShape =>
  signatureAlgorithmShapes[algorithm]

const faultOfRsa = (n: Buffer | undefined, e: Buffer | undefined): string | undefined => {
  if (!n || !e || n.length === 0 || n[0] === 0) return 'its modulus or exponent is malformed'
  if (!e.equals(Buffer.from([1, 0, 1]))) return 'its exponent is not 65537'
  const modulus = BigInt(`0x${n.toString('hex')}`)
  const bits = modulus.toString(2).length
  if (bits < minRsaBits || bits > maxRsaBits)
    return `it has ${bits} bits: less than ${minRsaBits} or more than ${maxRsaBits}`
  return isRocaModulus(modulus) ? 'its modulus can be factored (ROCA, CVE-2017-15361)' : undefined
}

const bytesOf = (text: unknown): Buffer | undefined => {
  if (typeof text !== 'string') return undefined
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

/** jose knows which key types and curves belong to an algorithm, and WebCrypto checks that a point is on its curve. */
const importPublicKey = async (
  jwk: JWK,
  algorithm: SignatureAlgorithm,
): Promise<KeyObject | undefined> => {
  try {
    const key = await importJWK(jwk, algorithm)
    return key instanceof Uint8Array ? undefined : KeyObject.from(key)
  } catch (cause) {
    // WebCrypto's DataError for what is not a key, jose's own for what it does not know.
    if (cause instanceof DOMException || cause instanceof errors.JOSEError) return undefined
    throw cause
  }
}

const shown = (kid: string): string => JSON.stringify(kid.slice(0, 64))
