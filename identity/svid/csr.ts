import { createPublicKey, sign, type KeyObject } from 'node:crypto'
import { contextTag, derTag } from './der.ts'
import { writeBits, writeDer, writeObjectIdentifier, writeSequence } from './der-write.ts'
import { pemOf } from './pem.ts'

const ecdsaWithSha256 = '1.2.840.10045.4.3.2'

/**
 * Asks for a certificate for a P-256 key. No subject and no attributes: who the key is for is not the asker's to say, and
 * the signature proves no more than that it has the key.
 *
 * @returns PEM.
 * @see RFC 2986 §4, RFC 5758 §3.2 (no parameters)
 */
export const createCsr = (privateKey: KeyObject): string => {
  if (privateKey.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new TypeError('a request is made for P-256 keys only')
  const version = writeDer(derTag.integer, Buffer.from([0]))
  const subject = writeSequence()
  const spki = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
  const attributes = writeDer(contextTag(0, 'constructed'))
  const info = writeSequence(version, subject, spki, attributes)
  const algorithm = writeSequence(writeObjectIdentifier(ecdsaWithSha256))
  const request = writeSequence(info, algorithm, writeBits(sign('sha256', info, privateKey)))
  return pemOf('CERTIFICATE REQUEST', request)
}
