import { createHash, createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'

/** A P-256 public key in the one form that we accept and write. */
export type P256PublicKey = {
  /** SubjectPublicKeyInfo, DER, always 91 bytes. */
  readonly spki: Buffer
  /** The uncompressed point, 65 bytes beginning with 04. */
  readonly point: Buffer
  /** SHA-1 of the point: the Subject Key Identifier of RFC 5280 §4.2.1.2 (1). */
  readonly keyId: Buffer
  readonly key: KeyObject
}

export type P256KeyPair = { readonly privateKey: KeyObject; readonly publicKey: P256PublicKey }

/** SEQUENCE { SEQUENCE { ecPublicKey, prime256v1 }, BIT STRING with no unused bits { 04 … } } up to the coordinates. */
const spkiPrefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
const spkiBytes = 91
const pointBytes = 65

const generate = promisify(generateKeyPair)

export const generateP256 = async (): Promise<P256KeyPair> => {
  const { privateKey, publicKey } = await generate('ec', { namedCurve: 'P-256' })
  return { privateKey, publicKey: p256PublicKeyOf(publicKey) }
}

/**
 * Reads a SubjectPublicKeyInfo by comparing bytes. `createPublicKey` alone would also take trailing bytes, compressed
 * points and explicit curve parameters, and show the last as `prime256v1`.
 *
 * @returns Undefined for anything but an uncompressed point on P-256.
 */
export const parseP256Spki = (spki: Buffer): P256PublicKey | undefined => {
  if (spki.length !== spkiBytes || !spki.subarray(0, spkiPrefix.length).equals(spkiPrefix))
    return undefined
  const key = publicKeyFrom(spki)
  if (key === undefined) return undefined
  const point = spki.subarray(spkiBytes - pointBytes)
  return { spki, point, keyId: createHash('sha1').update(point).digest(), key }
}

/** The same for a key that we made or loaded ourselves: anything else than P-256 is a fault of ours. */
export const p256PublicKeyOf = (key: KeyObject): P256PublicKey => {
  const known = read.get(key) ?? readKey(key)
  read.set(key, known)
  return known
}

/** A key is asked for whenever a bundle is made or a leaf signed, and never changes. */
const read = new WeakMap<KeyObject, P256PublicKey>()

const readKey = (key: KeyObject): P256PublicKey => {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  const parsed = parseP256Spki(publicKey.export({ type: 'spki', format: 'der' }))
  if (parsed === undefined) throw new TypeError('this is not a P-256 key')
  return parsed
}

export type P256Jwk = {
  readonly kty: 'EC'
  readonly crv: 'P-256'
  readonly x: string
  readonly y: string
}

export const jwkOf = ({ point }: P256PublicKey): P256Jwk => ({
  kty: 'EC',
  crv: 'P-256',
  x: point.subarray(1, 33).toString('base64url'),
  y: point.subarray(33).toString('base64url'),
})

/** @see RFC 7638: the members in alphabetical order, without spaces. */
export const thumbprintOf = (key: P256PublicKey): string => {
  const { crv, kty, x, y } = jwkOf(key)
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
}

const publicKeyFrom = (spki: Buffer): KeyObject | undefined => {
  let key: KeyObject
  try {
    key = createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch {
    return undefined // the shape was checked before, so the point is not on the curve
  }
  const isP256 =
    key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1'
  return isP256 ? key : undefined
}
