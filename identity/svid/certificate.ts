import {
  parseSpiffeId,
  spiffePathOf,
  trustDomainOf,
  type SpiffeId,
  type TrustDomain,
} from '#contract/spiffe-id'
import { bad, good, type Outcome } from '../outcome.ts'
import {
  contextTag,
  derBits,
  derBoolean,
  derChild,
  derChildren,
  derFault,
  derObjectIdentifier,
  derOctets,
  derOf,
  derTag,
  derTime,
  derUnsigned,
  readingDer,
  type Der,
} from './der.ts'

/** What SPIFFE asks of a certificate, read from its DER. The signature is not looked at. */
export type CertificateFacts = {
  /** Hexadecimal. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly hasSubject: boolean
  /** SubjectPublicKeyInfo as it stands there. */
  readonly spki: Buffer
  readonly isCa: boolean
  readonly keyUsage:
    | {
        readonly isCritical: boolean
        readonly digitalSignature: boolean
        readonly keyCertSign: boolean
        readonly crlSign: boolean
      }
    | undefined
  /** Object identifiers; undefined if there is no such extension. */
  readonly extendedKeyUsage: readonly string[] | undefined
  /** URIs among the subject alternative names, each as its own bytes: display text would have to be split. */
  readonly uris: readonly string[]
  /** Likewise its host names. */
  readonly dnsNames: readonly string[]
  readonly subjectAltNameIsCritical: boolean
}

/** An X509-SVID that may stand for a workload. */
export type SvidLeaf = {
  readonly spiffeId: SpiffeId
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly spki: Buffer
}

const oid = {
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

const maxCertificateBytes = 16_384
const uriName = contextTag(6, 'primitive')
const dnsName = contextTag(2, 'primitive')

/**
 * Reads a leaf as the X509-SVID standard wants it: exactly one URI and that a SPIFFE ID with a path; not a CA; key usage
 * critical, with digitalSignature and without keyCertSign or cRLSign; both serverAuth and clientAuth if uses are named.
 *
 * @returns A fault says which rule it breaks.
 * @see X509-SVID §2, §3, §4 and §5.2
 */
export const readSvidLeaf = (der: Buffer): Outcome<SvidLeaf> => {
  const facts = readCertificate(der)
  return facts.ok ? judgeLeaf(facts.value) : facts
}

const judgeLeaf = (facts: CertificateFacts): Outcome<SvidLeaf> => {
  const { keyUsage, extendedKeyUsage } = facts
  const spiffeId = oneSpiffeId(facts)
  if (!spiffeId.ok) return spiffeId
  if (spiffePathOf(spiffeId.value) === '') return bad('its SPIFFE ID is that of a trust domain')
  if (facts.isCa) return bad('it is a CA')
  if (!keyUsage?.isCritical) return bad('its key usage is missing or not critical')
  if (!keyUsage.digitalSignature) return bad('its key usage has no digitalSignature')
  if (keyUsage.keyCertSign || keyUsage.crlSign) return bad('its key may sign certificates or CRLs')
  if (
    extendedKeyUsage &&
    !(extendedKeyUsage.includes(oid.serverAuth) && extendedKeyUsage.includes(oid.clientAuth))
  )
    return bad('its extended key usage lacks serverAuth or clientAuth')
  if (!facts.hasSubject && !facts.subjectAltNameIsCritical)
    return bad('it has no subject, but its alternative name is not critical')
  const { serial, notBeforeMs, notAfterMs, spki } = facts
  return good({ spiffeId: spiffeId.value, serial, notBeforeMs, notAfterMs, spki })
}

/**
 * Reads a signing certificate: a CA with keyCertSign whose SPIFFE ID, if it has one, is that of its trust domain.
 *
 * @param trustDomain That the SPIFFE ID must be of.
 * @see X509-SVID §4 and §5.1
 */
export const readSvidAuthority = (
  der: Buffer,
  trustDomain: TrustDomain,
): Outcome<Pick<CertificateFacts, 'serial' | 'notBeforeMs' | 'notAfterMs'>> => {
  const facts = readCertificate(der)
  if (!facts.ok) return facts
  const { isCa, keyUsage, uris } = facts.value
  if (!isCa) return bad('it is no CA')
  if (!keyUsage?.keyCertSign) return bad('its key usage has no keyCertSign')
  if (uris.length === 0) return facts
  const spiffeId = oneSpiffeId(facts.value)
  if (!spiffeId.ok) return spiffeId
  if (trustDomainOf(spiffeId.value) !== trustDomain) return bad('it is of another trust domain')
  return spiffePathOf(spiffeId.value) === '' ? facts : bad('its SPIFFE ID has a path')
}

/** The SPIFFE ID of a signing certificate, if it has one. */
export const authorityId = (der: Buffer): SpiffeId | undefined => {
  const facts = readCertificate(der)
  const spiffeId = facts.ok ? oneSpiffeId(facts.value) : facts
  return spiffeId.ok ? spiffeId.value : undefined
}

const oneSpiffeId = ({ uris }: CertificateFacts): Outcome<SpiffeId> => {
  const [uri] = uris
  if (uri === undefined || uris.length > 1)
    return bad(`it has ${uris.length} URIs where one belongs`)
  const spiffeId = parseSpiffeId(uri)
  return spiffeId.ok ? good(spiffeId.value) : bad('its URI is not a SPIFFE ID')
}

/**
 * Reads what SPIFFE asks of any certificate.
 *
 * @param der Bounded here to 16 KiB.
 * @see RFC 5280 §4.1
 */
export const readCertificate = (der: Buffer): Outcome<CertificateFacts> => {
  if (der.length > maxCertificateBytes) return bad('it is too large')
  const read = readingDer(() => certificateFacts(der))
  return read.ok ? read : bad(`its DER is not acceptable: ${read.fault}`)
}

const certificateFacts = (der: Buffer): CertificateFacts => {
  const tbs = derChild(derOf(der, derTag.sequence), 0, derTag.sequence)
  const fields = derChildren(tbs)
  const version = derChild(derChild(tbs, 0, contextTag(0, 'constructed')), 0, derTag.integer)
  if (!derUnsigned(version).equals(Buffer.from([2]))) return derFault('it is not of version 3')
  const validity = derChildren(derChild(tbs, 4, derTag.sequence))
  const extensions = extensionsOf(fields)
  return {
    serial: derUnsigned(derChild(tbs, 1, derTag.integer)).toString('hex'),
    notBeforeMs: derTime(validity[0]),
    notAfterMs: derTime(validity[1]),
    hasSubject: derChild(tbs, 5, derTag.sequence).content.length > 0,
    spki: derChild(tbs, 6, derTag.sequence).bytes,
    isCa: isCa(extensions.get(oid.basicConstraints)),
    keyUsage: keyUsageOf(extensions.get(oid.keyUsage)),
    extendedKeyUsage: extendedKeyUsageOf(extensions.get(oid.extendedKeyUsage)),
    uris: namesOf(uriName, extensions.get(oid.subjectAltName)),
    dnsNames: namesOf(dnsName, extensions.get(oid.subjectAltName)),
    subjectAltNameIsCritical: extensions.get(oid.subjectAltName)?.isCritical ?? false,
  }
}

type Extension = { readonly isCritical: boolean; readonly value: Buffer }

/** RFC 5280 §4.2: an extension comes once. Of two, one program would read the first and another the last. */
const extensionsOf = (fields: readonly Der[]): ReadonlyMap<string, Extension> => {
  const extensions = new Map<string, Extension>()
  const tagged = fields.slice(7).find(({ tag }) => tag === contextTag(3, 'constructed'))
  if (!tagged) return extensions
  for (const extension of derChildren(derChild(tagged, 0, derTag.sequence))) {
    const parts = derChildren(extension)
    const id = derObjectIdentifier(derChild(extension, 0, derTag.objectIdentifier))
    const isCritical = parts.length === 3 && derBoolean(derChild(extension, 1, derTag.boolean))
    if (parts.length > 3 || extensions.has(id))
      return derFault('an extension is malformed or repeated')
    const value = derOctets(derChild(extension, parts.length - 1, derTag.octetString))
    extensions.set(id, { isCritical, value })
  }
  return extensions
}

const isCa = (extension: Extension | undefined): boolean => {
  if (!extension) return false
  const [first] = derChildren(derOf(extension.value, derTag.sequence))
  return first?.tag === derTag.boolean && derBoolean(first)
}

const keyUsageOf = (extension: Extension | undefined): CertificateFacts['keyUsage'] => {
  if (!extension) return undefined
  const [bits = 0] = derBits(derOf(extension.value, derTag.bitString))
  return {
    isCritical: extension.isCritical,
    digitalSignature: (bits & 0x80) !== 0,
    keyCertSign: (bits & 0x04) !== 0,
    crlSign: (bits & 0x02) !== 0,
  }
}

const extendedKeyUsageOf = (extension: Extension | undefined): readonly string[] | undefined =>
  extension && derChildren(derOf(extension.value, derTag.sequence)).map(derObjectIdentifier)

const namesOf = (kind: number, extension: Extension | undefined): readonly string[] => {
  if (!extension) return []
  return derChildren(derOf(extension.value, derTag.sequence))
    .filter(({ tag }) => tag === kind)
    .map(({ content }) => content.toString('latin1'))
}
