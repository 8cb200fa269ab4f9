import { verify, constants, type KeyObject } from 'node:crypto'
import type { signatureAlgorithms } from '#config/schema'
import { p1363ToDer } from './ecdsa-signature.ts'

/** Signature algorithms that a key of an issuer can be for. Symmetric ones and `none` can not. */
export type SignatureAlgorithm = (typeof signatureAlgorithms)[number]

export type AlgorithmShape = {
  readonly kty: 'EC' | 'RSA' | 'OKP'
  /** The curve that an EC or OKP key must be on. */
  readonly crv?: string
  /** Length of one coordinate, and of each half of a signature. */
  readonly coordinateBytes?: number
  readonly verify: (signed: Buffer, key: KeyObject, signature: Buffer) => boolean
}

/**
 * ECDSA over DER with a bare key: an options object (`{ key, dsaEncoding: 'ieee-p1363' }`) makes Node 24 throw and
 * catch two TypeErrors inside each call, which takes half as long again; jose's WebCrypto takes twice as long.
 */
const ecdsa = (crv: string, digest: string, coordinateBytes: number): AlgorithmShape => ({
  kty: 'EC',
  crv,
  coordinateBytes,
  verify: (signed, key, signature) =>
    signature.length === 2 * coordinateBytes &&
    verify(digest, signed, key, p1363ToDer(signature, coordinateBytes)),
})

const rsaPkcs1 = (digest: string): AlgorithmShape => ({
  kty: 'RSA',
  verify: (signed, key, signature) => verify(digest, signed, key, signature),
})

/** RFC 7518 §3.5: the salt is as long as the digest. */
const rsaPss = (digest: string, saltLength: number): AlgorithmShape => ({
  kty: 'RSA',
  verify: (signed, key, signature) =>
    verify(
      digest,
      signed,
      { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength },
      signature,
    ),
})

export const signatureAlgorithmShapes = {
  ES256: ecdsa('P-256', 'sha256', 32),
  ES384: ecdsa('P-384', 'sha384', 48),
  ES512: ecdsa('P-521', 'sha512', 66),
  PS256: rsaPss('sha256', 32),
  PS384: rsaPss('sha384', 48),
  PS512: rsaPss('sha512', 64),
  RS256: rsaPkcs1('sha256'),
  RS384: rsaPkcs1('sha384'),
  RS512: rsaPkcs1('sha512'),
  EdDSA: {
    kty: 'OKP',
    crv: 'Ed25519',
    coordinateBytes: 32,
    verify: (signed, key, signature) =>
      signature.length === 64 && verify(null, signed, key, signature),
  },
} as const satisfies Record<SignatureAlgorithm, AlgorithmShape>

/** Exact: `es256` or `NONE` is no algorithm. */
export const isSignatureAlgorithm = (value: unknown): value is SignatureAlgorithm =>
  typeof value === 'string' && Object.hasOwn(signatureAlgorithmShapes, value)
