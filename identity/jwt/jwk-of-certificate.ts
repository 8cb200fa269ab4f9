import { X509Certificate } from 'node:crypto'
import type { JsonObject } from '../json-strict.ts'

/**
 * Azure Attestation publishes a key as a certificate (`x5c`) and nothing else: gives such a JWK the members of the key that
 * the certificate is for. A JWK that says its key itself, or whose certificate cannot be read, comes back as it is.
 *
 * The certificate is trusted for nothing: what counts is where the set was fetched (RFC 7517 §4.7 lets a JWK bring one).
 */
export const withKeyOfCertificate = (jwk: JsonObject): JsonObject => {
  const { kty, n, e, x5c } = jwk
  if (kty !== 'RSA' || n !== undefined || e !== undefined || !Array.isArray(x5c)) return jwk
  const [first]: readonly unknown[] = x5c
  const certificate = typeof first === 'string' ? readCertificate(first) : undefined
  if (certificate?.publicKey.asymmetricKeyType !== 'rsa') return jwk
  const key = certificate.publicKey.export({ format: 'jwk' })
  return { ...jwk, n: key.n, e: key.e }
}

const readCertificate = (text: string): X509Certificate | undefined => {
  const der = Buffer.from(text, 'base64') // not base64url: RFC 7517 §4.7
  if (der.toString('base64') !== text) return undefined
  try {
    return new X509Certificate(der)
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause) return undefined
    throw cause
  }
}
