import type { X509Certificate } from 'node:crypto'
import { bad, good, type Outcome } from '../outcome.ts'
import type { RevocationList } from './revocation-list.ts'

/** Which certificates stand for one client: of its own CAs, for one of its names. */
export type CertificateRule = {
  readonly cas: readonly X509Certificate[]
  /** DNS names, of which the certificate must have one among its subject alternative names. */
  readonly dnsNames: readonly string[]
  /** What a CA has revoked, if it says so at all. */
  readonly revoked: ((ca: X509Certificate) => Outcome<RevocationList>) | undefined
}

const clientAuthentication = '1.3.6.1.5.5.7.3.2'
const goodDigest = /sha-?(256|384|512)|ed25519|ed448/i
const minRsaBits = 2048

/**
 * Whether a certificate, whose key the TLS handshake has proved, is one of a client. Issued by one of the client's CAs
 * itself: of the chain that came with it a server is shown nothing.
 *
 * @returns A fault says why not, for the record. A list of revocations that cannot be read, or is out of date, is one.
 */
export const checkClientCertificate = (
  certificate: X509Certificate,
  { cas, dnsNames, revoked }: CertificateRule,
  nowMs: number,
): Outcome<void> => {
  const ca = cas.find(
    (one) => certificate.checkIssued(one) && one.ca && certificate.verify(one.publicKey),
  )
  if (ca === undefined) return bad('none of its CAs issued it')
  if (certificate.ca) return bad('it is a CA itself')
  for (const one of [certificate, ca])
    if (nowMs < one.validFromDate.getTime() || nowMs > one.validToDate.getTime())
      return bad('it, or its CA, is not good now')
  // Called `keyUsage` by Node, these are the extended ones.
  const usages = certificate.keyUsage
  if (Array.isArray(usages) && usages.length > 0 && !usages.includes(clientAuthentication))
    return bad('it is not for clients')
  if (!goodDigest.test(certificate.signatureAlgorithm ?? ''))
    return bad(`it is signed by ${certificate.signatureAlgorithm ?? 'an unknown algorithm'}`)
  const { asymmetricKeyType, asymmetricKeyDetails } = certificate.publicKey
  if (asymmetricKeyType === 'rsa' && (asymmetricKeyDetails?.modulusLength ?? 0) < minRsaBits)
    return bad('its key is too short')
  const exactly = { subject: 'never', wildcards: false } as const
  if (!dnsNames.some((name) => certificate.checkHost(name, exactly) !== undefined))
    return bad('it has none of the names')
  if (revoked === undefined) return good(undefined)
  const list = revoked(ca)
  if (!list.ok) return bad(`what its CA has revoked cannot be known: ${list.fault}`)
  if (list.value.nextUpdateMs <= nowMs)
    return bad('what its CA has revoked cannot be known: the list is out of date')
  return list.value.serials.has(certificate.serialNumber.replace(/^0+/, ''))
    ? bad('its CA has revoked it')
    : good(undefined)
}
