import type { RandomBytes } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { CertificateIssuer } from '../ca/snapshot.ts'
import { certificatePem } from '../ca/bundle.ts'
import { signCertificate } from '../ca/certificate.ts'
import { checkCertificate } from '../ca/check-certificate.ts'
import type { P256PublicKey } from '../ca/p256.ts'
import { newSerial, validity } from '../ca/validity.ts'

export type X509SvidRequest = {
  readonly spiffeId: SpiffeId
  readonly publicKey: P256PublicKey
  readonly lifetimeMs: number
  /** For a server's own certificate; none for others. */
  readonly dnsNames?: readonly string[]
  readonly ipAddresses?: readonly string[]
}

export type IssuedX509Svid = {
  /** DER of the leaf. */
  readonly certificate: Buffer
  /** PEM, leaf first, then the intermediate. */
  readonly chainPem: string
  /** Hex. */
  readonly serial: string
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/**
 * An X.509-SVID: exactly one URI SAN, no subject, no longer life than its issuer has. It was checked before it is
 * returned.
 *
 * @see SPIFFE X509-SVID §2 to §4
 */
export const issueX509Svid = (
  request: X509SvidRequest,
  issuer: CertificateIssuer,
  nowMs: number,
  randomBytes: RandomBytes,
): IssuedX509Svid => {
  const serial = newSerial(randomBytes)
  const { notBeforeMs, notAfterMs } = validity(nowMs, request.lifetimeMs, issuer.notAfterMs)
  const fields = {
    serial,
    issuer: issuer.subject,
    subject: undefined,
    notBeforeMs,
    notAfterMs,
    publicKey: request.publicKey,
    authorityKeyId: issuer.keyId,
    profile: {
      kind: 'leaf',
      spiffeId: request.spiffeId,
      dnsNames: request.dnsNames ?? [],
      ipAddresses: request.ipAddresses ?? [],
    },
  } as const
  const certificate = signCertificate(fields, issuer.privateKey)
  checkCertificate(certificate, fields, issuer.certificate)
  return {
    certificate,
    chainPem: certificatePem(certificate) + issuer.certificatePem,
    serial: serial.toString('hex'),
    notBeforeMs,
    notAfterMs,
  }
}
