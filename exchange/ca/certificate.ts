import { sign, type KeyObject } from 'node:crypto'
import forge from 'node-forge'
import { writeBits, writeSequence } from '#identity/svid/der-write'
import { ipAddressBytes } from './ip-address-bytes.ts'
import type { P256PublicKey } from './p256.ts'

/** What a certificate is for decides its extensions. */
export type CertificateProfile =
  | {
      readonly kind: 'leaf'
      /** The one URI SAN. */
      readonly spiffeId: string
      readonly dnsNames: readonly string[]
      readonly ipAddresses: readonly string[]
    }
  | {
      readonly kind: 'ca'
      /** The trust domain's own ID, without a path. */
      readonly spiffeId: string
      /** How many CAs may follow below. */
      readonly pathLength: number
    }
  | {
      /** Signs the certificates that gateways show where they look into TLS. No identity of the mesh. */
      readonly kind: 'inspection-ca'
      /** Names that it may sign for, each with all below it. No addresses, whatever they are. */
      readonly permittedNames: readonly string[]
    }
  | { readonly kind: 'inspection-leaf'; readonly dnsName: string }

export type CertificateFields = {
  /** 16 bytes, the first of them 01 to 7f. */
  readonly serial: Buffer
  /** Common name of the CA that signs: byte by byte the subject of its certificate. */
  readonly issuer: string
  /** Common name; leaves have none, their SAN says who they are. */
  readonly subject: string | undefined
  /** Whole seconds, in milliseconds. */
  readonly notBeforeMs: number
  readonly notAfterMs: number
  readonly publicKey: P256PublicKey
  /** Of the key that signs. */
  readonly authorityKeyId: Buffer
  readonly profile: CertificateProfile
}

const { asn1, pki } = forge
type Node = forge.asn1.Asn1
const { UNIVERSAL, CONTEXT_SPECIFIC } = asn1.Class

const oid = {
  ecPublicKey: '1.2.840.10045.2.1',
  prime256v1: '1.2.840.10045.3.1.7',
  ecdsaWithSha256: '1.2.840.10045.4.3.2',
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  nameConstraints: '2.5.29.30',
  authorityKeyIdentifier: '2.5.29.35',
  extKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const

/**
 * Makes a certificate: ASN.1 and names by node-forge, which knows no elliptic curves, the signature by node:crypto.
 * The part to be signed is encoded once and never again: what was signed is what is in the certificate.
 *
 * @returns DER. It is to be checked by `checkCertificate` before it leaves the house.
 * @see RFC 5280 §4.1, SPIFFE X509-SVID §3 and §4
 */
export const signCertificate = (fields: CertificateFields, signingKey: KeyObject): Buffer => {
  const toBeSigned = derOf(tbsCertificate(fields))
  const signature = sign('sha256', toBeSigned, signingKey) // DER is what a bare EC key gives
  return writeSequence(toBeSigned, derOf(signatureAlgorithm()), writeBits(signature))
}

const tbsCertificate = (fields: CertificateFields): Node =>
  sequence(
    tagged(0, integer(Buffer.from([2]))), // version 3
    integer(fields.serial),
    signatureAlgorithm(),
    name(fields.issuer),
    sequence(time(fields.notBeforeMs), time(fields.notAfterMs)),
    name(fields.subject),
    subjectPublicKeyInfo(fields.publicKey),
    tagged(3, sequence(...extensions(fields))),
  )

const extensions = ({ profile, publicKey, authorityKeyId, subject }: CertificateFields): Node[] => {
  const keyIds = [
    extension(oid.subjectKeyIdentifier, false, octetString(publicKey.keyId)),
    extension(oid.authorityKeyIdentifier, false, sequence(implicit(0, authorityKeyId))),
  ]
  const names = (...generalNames: Node[]) =>
    // RFC 5280 §4.2.1.6: critical where there is no subject.
    extension(oid.subjectAltName, subject === undefined, sequence(...generalNames))
  const ca = (pathLength: number) => [
    extension(
      oid.basicConstraints,
      true,
      sequence(boolean(true), integer(Buffer.from([pathLength]))),
    ),
    extension(oid.keyUsage, true, keyUsage(0x06, 1)), // keyCertSign, cRLSign
  ]
  const leaf = (...uses: string[]) => [
    extension(oid.basicConstraints, true, sequence()),
    extension(oid.keyUsage, true, keyUsage(0x80, 7)), // digitalSignature
    extendedKeyUsage(...uses),
  ]
  switch (profile.kind) {
    case 'ca':
      return [...ca(profile.pathLength), ...keyIds, names(uriName(profile.spiffeId))]
    case 'leaf':
      return [
        ...leaf(oid.serverAuth, oid.clientAuth),
        ...keyIds,
        names(
          uriName(profile.spiffeId),
          ...profile.dnsNames.map(dnsName),
          ...profile.ipAddresses.map((address) => addressName(ipAddressBytes(address))),
        ),
      ]
    case 'inspection-ca':
      return [
        ...ca(0),
        extendedKeyUsage(oid.serverAuth),
        extension(oid.nameConstraints, true, nameConstraints(profile.permittedNames)),
        ...keyIds,
      ]
    case 'inspection-leaf':
      return [...leaf(oid.serverAuth), ...keyIds, names(dnsName(profile.dnsName))]
    default:
      return profile satisfies never
  }
}

const extendedKeyUsage = (...uses: string[]): Node =>
  extension(oid.extKeyUsage, false, sequence(...uses.map(objectIdentifier)))

const uriName = (uri: string): Node => implicit(6, Buffer.from(uri, 'latin1'))
const dnsName = (name: string): Node => implicit(2, Buffer.from(name, 'latin1'))
const addressName = (bytes: Buffer): Node => implicit(7, bytes)

/** RFC 5280 §4.2.1.10. What kind of name is not permitted by one of its kind is not constrained, so addresses are excluded. */
const nameConstraints = (permittedNames: readonly string[]): Node => {
  const everyAddress = [Buffer.alloc(8), Buffer.alloc(32)] // address and mask, of IPv4 and of IPv6
  return sequence(
    tagged(0, ...permittedNames.map((name) => sequence(dnsName(name)))),
    tagged(1, ...everyAddress.map((bytes) => sequence(addressName(bytes)))),
  )
}

const name = (commonName: string | undefined): Node =>
  pki.distinguishedNameToAsn1({
    attributes:
      commonName === undefined
        ? []
        : [
            {
              type: oid.commonName,
              value: commonName,
              // Its type says class and means type.
              valueTagClass: asn1.Type.UTF8 as unknown as forge.asn1.Class,
            },
          ],
  })

const subjectPublicKeyInfo = ({ point }: P256PublicKey): Node =>
  sequence(
    sequence(objectIdentifier(oid.ecPublicKey), objectIdentifier(oid.prime256v1)),
    bitString(point),
  )

/** Without parameters, not with NULL: RFC 5758 §3.2. */
const signatureAlgorithm = (): Node => sequence(objectIdentifier(oid.ecdsaWithSha256))

/** RFC 5280 §4.1.2.5: two-digit years up to 2049. */
const time = (ms: number): Node => {
  // oxlint-disable-next-line no-restricted-globals -- converts an instant that was given, reads no clock
  const date = new Date(ms)
  return date.getUTCFullYear() < 2050
    ? asn1.create(UNIVERSAL, asn1.Type.UTCTIME, false, asn1.dateToUtcTime(date))
    : asn1.create(UNIVERSAL, asn1.Type.GENERALIZEDTIME, false, asn1.dateToGeneralizedTime(date))
}

const extension = (id: string, isCritical: boolean, value: Node): Node =>
  // DER leaves out what is the default, so a FALSE is never written.
  sequence(objectIdentifier(id), ...(isCritical ? [boolean(true)] : []), octetString(derOf(value)))

const keyUsage = (bits: number, unusedBits: number): Node =>
  asn1.create(UNIVERSAL, asn1.Type.BITSTRING, false, binary(Buffer.from([unusedBits, bits])))

const sequence = (...children: Node[]): Node =>
  asn1.create(UNIVERSAL, asn1.Type.SEQUENCE, true, children)
const integer = (bytes: Buffer): Node =>
  asn1.create(UNIVERSAL, asn1.Type.INTEGER, false, binary(bytes))
const boolean = (value: boolean): Node =>
  asn1.create(UNIVERSAL, asn1.Type.BOOLEAN, false, value ? '\xff' : '\x00')
const octetString = (bytes: Buffer): Node =>
  asn1.create(UNIVERSAL, asn1.Type.OCTETSTRING, false, binary(bytes))
const bitString = (bytes: Buffer): Node =>
  asn1.create(UNIVERSAL, asn1.Type.BITSTRING, false, `\x00${binary(bytes)}`)
const objectIdentifier = (id: string): Node =>
  asn1.create(UNIVERSAL, asn1.Type.OID, false, asn1.oidToDer(id).getBytes())
const tagged = (number: number, ...children: Node[]): Node =>
  asn1.create(CONTEXT_SPECIFIC, typeOf(number), true, children)
const implicit = (number: number, bytes: Buffer): Node =>
  asn1.create(CONTEXT_SPECIFIC, typeOf(number), false, binary(bytes))

/** The number of a context tag: node-forge's types know those of universal tags only. */
const typeOf = (number: number) => number as unknown as forge.asn1.Type

/** node-forge keeps bytes as the characters of a string. */
const binary = (bytes: Buffer): string => bytes.toString('latin1')
const derOf = (node: Node): Buffer => Buffer.from(asn1.toDer(node).getBytes(), 'latin1')
