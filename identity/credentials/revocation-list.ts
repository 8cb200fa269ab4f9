import { verify, type X509Certificate } from 'node:crypto'
import {
  contextTag,
  derBits,
  derBoolean,
  derChild,
  derChildren,
  derFault,
  derObjectIdentifier,
  derOf,
  derTag,
  derTime,
  derUnsigned,
  readingDer,
  type Der,
} from '../svid/der.ts'
import { bad, type Outcome } from '../outcome.ts'

/** A list of what one CA has revoked, checked against that CA. */
export type RevocationList = {
  /** Serial numbers, upper-case hex without leading zeros. */
  readonly serials: ReadonlySet<string>
  readonly nextUpdateMs: number
}

const digestOf: Readonly<Record<string, string>> = {
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
}
const maxBytes = 4 * 1024 * 1024
const pemBlock = /^\s*-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]*)-----END X509 CRL-----\s*$/

/**
 * Reads a certificate revocation list, PEM or DER, and checks that this CA signed it. One with a critical extension is a
 * fault: it could be a list of changes, or of some certificates only.
 *
 * @see RFC 5280 §5.1
 */
export const readRevocationList = (file: Buffer, ca: X509Certificate): Outcome<RevocationList> => {
  if (file.length > maxBytes) return bad('it is too large')
  const [, base64] = pemBlock.exec(file.toString('latin1')) ?? []
  const der = base64 === undefined ? file : Buffer.from(base64, 'base64')
  return readingDer(() => {
    const list = derOf(der, derTag.sequence)
    const content = derChild(list, 0, derTag.sequence)
    const algorithm = derObjectIdentifier(
      derChild(derChild(list, 1, derTag.sequence), 0, derTag.objectIdentifier),
    )
    const digest = Object.hasOwn(digestOf, algorithm) ? digestOf[algorithm] : undefined
    if (digest === undefined) return derFault('it is signed by an algorithm that is not accepted')
    const signature = derBits(derChild(list, 2, derTag.bitString))
    if (!verify(digest, content.bytes, ca.publicKey, signature))
      return derFault('its CA did not sign it')
    return readContent(derChildren(content))
  })
}

const readContent = (parts: readonly Der[]): RevocationList => {
  const rest = [...parts]
  if (rest[0]?.tag === derTag.integer) rest.shift()
  rest.splice(0, 2) // algorithm and issuer: it is the signature that says whose list it is
  derTime(rest.shift())
  const next = rest.shift()
  const nextUpdateMs = derTime(next)
  const serials = new Set<string>()
  if (rest[0]?.tag === derTag.sequence)
    for (const entry of derChildren(rest.shift() ?? derFault('it is cut off'))) {
      serials.add(serialOf(derUnsigned(derChild(entry, 0, derTag.integer))))
      refuseCritical(derChildren(entry)[2])
    }
  if (rest[0]?.tag === contextTag(0, 'constructed'))
    refuseCritical(derChild(rest.shift() ?? derFault('it is cut off'), 0, derTag.sequence))
  if (rest.length > 0) return derFault('there is more in it than a list has')
  return { serials, nextUpdateMs }
}

const refuseCritical = (extensions: Der | undefined): void => {
  for (const extension of extensions ? derChildren(extensions) : []) {
    const [, second] = derChildren(extension)
    if (second?.tag === derTag.boolean && derBoolean(second))
      derFault('it has a critical extension')
  }
}

/** As `X509Certificate.serialNumber` has it. */
export const serialOf = (bytes: Buffer): string =>
  bytes.toString('hex').toUpperCase().replace(/^0+/, '')
