import type { RandomBytes } from '#contract/clock'
import { certificatePem } from '../ca/bundle.ts'
import { signCertificate } from '../ca/certificate.ts'
import { checkCertificate } from '../ca/check-certificate.ts'
import { p256PublicKeyOf, type P256PublicKey } from '../ca/p256.ts'
import { newSerial, validity } from '../ca/validity.ts'
import type { InspectionCa } from '../keys/key-store.ts'

export type InspectionLeafRequest = {
  /** Lower-case, a name that `ca` may sign for. */
  readonly host: string
  readonly publicKey: P256PublicKey
  readonly lifetimeMs: number
}

export type IssuedLeaf = {
  /** PEM: the leaf alone, for who trusts it has its CA. */
  readonly certificatePem: string
  /** Hex. */
  readonly serial: string
  readonly notAfterMs: number
}

/** A certificate with which a gateway speaks for a host, to those who trust the CA of inspected hosts. No SVID. */
export const issueInspectionLeaf = (
  { host, publicKey, lifetimeMs }: InspectionLeafRequest,
  ca: InspectionCa,
  nowMs: number,
  randomBytes: RandomBytes,
): IssuedLeaf => {
  const serial = newSerial(randomBytes)
  const fields = {
    serial,
    issuer: ca.subject,
    subject: undefined,
    ...validity(nowMs, lifetimeMs, ca.notAfterMs),
    publicKey,
    authorityKeyId: p256PublicKeyOf(ca.publicKey).keyId,
    profile: { kind: 'inspection-leaf', dnsName: host },
  } as const
  const certificate = signCertificate(fields, ca.privateKey)
  checkCertificate(certificate, fields, ca.certificate)
  return {
    certificatePem: certificatePem(certificate),
    serial: serial.toString('hex'),
    notAfterMs: fields.notAfterMs,
  }
}
