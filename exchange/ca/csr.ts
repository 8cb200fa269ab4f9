import { verify } from 'node:crypto'
import { pass, refuse, type Result } from '#contract/problem'
import {
  contextTag,
  derChild,
  derChildren,
  derFault,
  derOf,
  derTag,
  readingDer,
  type Der,
} from '#identity/svid/der'
import { parseP256Spki, type P256PublicKey } from './p256.ts'

export const maxCsrBytes = 8192

/** SEQUENCE { ecdsa-with-SHA256 } without parameters, RFC 5758 §3.2. */
const ecdsaWithSha256 = Buffer.from('300a06082a8648ce3d040302', 'hex')
const pemPattern =
  /^\s*-----BEGIN CERTIFICATE REQUEST-----\s([A-Za-z0-9+/\s]+={0,2})\s*-----END CERTIFICATE REQUEST-----\s*$/

/**
 * Takes the public key out of a certificate signing request, and nothing else: who it is for, what for and for how long is
 * not the asker's to say. A request that says it all the same is refused rather than read over.
 *
 * @param request DER, or PEM of one request; at most 8 KiB.
 * @returns Refuses with `csr-refused`: whatever is not an ECDSA request for a P-256 key with an empty subject, no
 *   attributes and a right signature, in DER and with nothing after it.
 * @see RFC 2986 §4
 */
export const publicKeyOfCsr = (request: Buffer): Result<P256PublicKey> => {
  if (request.length > maxCsrBytes) return refused('It has more than 8 KiB.')
  const der = derOfPem(request)
  if (der === undefined) return refused('It is neither DER nor one PEM block.')
  const read = readingDer(() => parseCsr(der))
  if (!read.ok) return refused(`Its DER is not acceptable: ${read.fault}.`)
  const { signed, subject, spki, attributes, algorithm, signature } = read.value
  if (subject.content.length > 0)
    return refused('It names a subject. Leave it empty (openssl req -subj /).')
  if (attributes.content.length > 0)
    return refused('It asks for extensions or has other attributes. Leave them out.')
  const key = parseP256Spki(spki.bytes)
  if (key === undefined) return refused('Its key is not on P-256, or not written uncompressed.')
  if (!algorithm.bytes.equals(ecdsaWithSha256))
    return refused('It is not signed by ECDSA with SHA-256.')
  return verify('sha256', signed.bytes, key.key, signature)
    ? pass(key)
    : refused('Its signature is wrong.')
}

type Csr = {
  /** CertificationRequestInfo: what is signed, as it was sent. */
  readonly signed: Der
  readonly subject: Der
  readonly spki: Der
  readonly attributes: Der
  readonly algorithm: Der
  readonly signature: Buffer
}

const parseCsr = (bytes: Buffer): Csr => {
  const request = derOf(bytes, derTag.sequence)
  const signed = derChild(request, 0, derTag.sequence)
  const bits = derChild(request, 2, derTag.bitString).content
  const version = derChild(signed, 0, derTag.integer)
  if (derChildren(request).length !== 3 || derChildren(signed).length !== 4)
    return derFault('it has more parts than a request')
  if (!version.content.equals(Buffer.from([0]))) return derFault('it is not of version 1')
  if (bits[0] !== 0) return derFault('its signature has unused bits')
  return {
    signed,
    subject: derChild(signed, 1, derTag.sequence),
    spki: derChild(signed, 2, derTag.sequence),
    attributes: derChild(signed, 3, contextTag(0, 'constructed')),
    algorithm: derChild(request, 1, derTag.sequence),
    signature: bits.subarray(1),
  }
}

/** PEM begins with dashes (0x2d), DER with a SEQUENCE. */
const derOfPem = (request: Buffer): Buffer | undefined => {
  if (request[0] === derTag.sequence) return request
  const [, base64] = pemPattern.exec(request.toString('latin1')) ?? []
  return base64 === undefined ? undefined : Buffer.from(base64, 'base64')
}

const refused = (detail: string) => refuse('csr-refused', { detail })
