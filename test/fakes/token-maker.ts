import { generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { derToP1363 } from '#identity/jwt/ecdsa-signature'

/** A key of an issuer, and what it publishes of it. */
export type SigningKey = {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly jwk: Readonly<Record<string, unknown>>
}

const curves: Record<string, readonly [curve: string, digest: string, bytes: number]> = {
  ES256: ['P-256', 'sha256', 32],
  ES384: ['P-384', 'sha384', 48],
  ES512: ['P-521', 'sha512', 66],
}

export const newSigningKey = (kid: string, alg = 'ES256'): SigningKey => {
  const { privateKey, publicKey } = pairFor(alg)
  return {
    kid,
    alg,
    privateKey,
    jwk: { ...publicKey.export({ format: 'jwk' }), kid, alg, use: 'sig' },
  }
}

const pairFor = (alg: string) => {
  const curve = curves[alg]
  if (curve) return generateKeyPairSync('ec', { namedCurve: curve[0] })
  if (alg === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

export const encoded = (value: string | object): string =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')

/** Signs any header and payload, well-formed or not: attacks are made with this. */
export const signRaw = (key: SigningKey, header: string | object, payload: string | object) => {
  const input = `${encoded(header)}.${encoded(payload)}`
  return `${input}.${signatureOf(key, Buffer.from(input)).toString('base64url')}`
}

const signatureOf = ({ alg, privateKey }: SigningKey, input: Buffer): Buffer => {
  const curve = curves[alg]
  if (curve) return derToP1363(sign(curve[1], input, privateKey), curve[2])
  if (alg === 'EdDSA') return sign(null, input, privateKey)
  const digest = `sha${alg.slice(2)}`
  if (alg.startsWith('RS')) return sign(digest, input, privateKey)
  return sign(digest, input, { key: privateKey, padding: 6, saltLength: Number(alg.slice(2)) / 8 })
}

export const signToken = (key: SigningKey, claims: object, header: object = {}) =>
  signRaw(key, { alg: key.alg, kid: key.kid, typ: 'JWT', ...header }, claims)
