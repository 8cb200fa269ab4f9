import { X509Certificate } from 'node:crypto'
import { readCertificate, type CertificateFacts } from '#identity/svid/certificate'
import type { CertificateFields, CertificateProfile } from './certificate.ts'

/**
 * Reads a certificate that we have just made as a stranger would, before it leaves the house: signature, issuer, times,
 * key, usages and names must be those that were meant. `verify` looks at the signature alone and `checkIssued` at names
 * and key ids alone, and Node shows no key usage at all, so it takes all three.
 *
 * @throws Error for any difference: a bug of ours must not become an identity.
 */
export const checkCertificate = (
  der: Buffer,
  fields: CertificateFields,
  issuerDer: Buffer,
): void => {
  const certificate = new X509Certificate(der)
  const issuer = new X509Certificate(issuerDer)
  const read = readCertificate(der)
  if (!read.ok) return wrong(read.fault)
  const facts = read.value
  const { profile } = fields
  const isMeantAsCa = profile.kind === 'ca' || profile.kind === 'inspection-ca'

  if (!certificate.raw.equals(der)) return wrong('it has a surplus')
  if (!certificate.verify(issuer.publicKey)) return wrong('its signature')
  if (!certificate.checkIssued(issuer)) return wrong('its issuer')
  if (facts.serial !== fields.serial.toString('hex')) return wrong('its serial number')
  if (facts.notBeforeMs !== fields.notBeforeMs || facts.notAfterMs !== fields.notAfterMs)
    return wrong('its validity')
  if (fields.notAfterMs <= fields.notBeforeMs) return wrong('it ends before it begins')
  if (!facts.spki.equals(fields.publicKey.spki)) return wrong('its key')
  if (facts.hasSubject !== (fields.subject !== undefined)) return wrong('its subject')
  if (facts.isCa !== isMeantAsCa || certificate.ca !== isMeantAsCa)
    return wrong('its basic constraints')
  if (!hasUsageOf(facts, isMeantAsCa) || !areSame(facts.extendedKeyUsage, usesOf[profile.kind]))
    return wrong('its key usage')
  if (!areSame(facts.uris, 'spiffeId' in profile ? [profile.spiffeId] : []))
    return wrong('its SPIFFE ID')
  if (!namesTheServer(certificate, facts, profile)) return wrong('its names or addresses')
  if (!facts.hasSubject && !facts.subjectAltNameIsCritical)
    return wrong('its alternative name is not critical')
}

const serverAuth = '1.3.6.1.5.5.7.3.1'
const clientAuth = '1.3.6.1.5.5.7.3.2'
const usesOf: Record<CertificateProfile['kind'], readonly string[] | undefined> = {
  ca: undefined,
  leaf: [serverAuth, clientAuth],
  'inspection-ca': [serverAuth],
  'inspection-leaf': [serverAuth],
}

const areSame = (read: readonly string[] | undefined, meant: readonly string[] | undefined) =>
  read?.join() === meant?.join()

const hasUsageOf = ({ keyUsage }: CertificateFacts, isCa: boolean): boolean =>
  keyUsage !== undefined &&
  keyUsage.isCritical &&
  keyUsage.digitalSignature !== isCa &&
  keyUsage.keyCertSign === isCa &&
  keyUsage.crlSign === isCa

const namesTheServer = (
  certificate: X509Certificate,
  { dnsNames }: CertificateFacts,
  profile: CertificateProfile,
): boolean => {
  switch (profile.kind) {
    case 'ca':
      return true
    case 'inspection-ca':
      return dnsNames.length === 0
    case 'inspection-leaf':
      return (
        areSame(dnsNames, [profile.dnsName]) && certificate.subjectAltName?.includes(',') === false
      )
    case 'leaf':
      return (
        profile.dnsNames.every((name) => certificate.checkHost(name) !== undefined) &&
        profile.ipAddresses.every((address) => certificate.checkIP(address) !== undefined)
      )
    default:
      return profile satisfies never
  }
}

const wrong = (what: string): never => {
  throw new Error(`a certificate was made wrong: ${what}`)
}
