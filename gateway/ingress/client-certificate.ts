import { X509Certificate } from 'node:crypto'
import { admitted, refuse, type Refusal } from '#contract/problem'
import { parseSpiffeId, trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import type { Guard } from '#contract/step'
import type { FederatedSvids } from '#identity/federation/federated-svids'
import { bad, good, type Outcome } from '#identity/outcome'
import { readCertificate, type CertificateFacts } from '#identity/svid/certificate'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

/** Other trust domains whose members count as known, and who judges their certificates. */
export type CertifiedStrangers = {
  readonly trustDomains: ReadonlySet<TrustDomain>
  readonly svidOf: FederatedSvids
}

/**
 * Lets in only who shows a certificate that leads to the listener's roots, or to the bundle of the other trust domain that
 * it names, where the route wants one, and if it names names, one of those. The common name is none (RFC 9525 §2).
 *
 * @returns A guard refusing with `client-certificate-refused`.
 */
export const clientCertificate = (
  strangers: CertifiedStrangers,
): Guard<Pick<Received, 'peer' | 'nowMs'> & { readonly route: CompiledRoute }> => {
  const judge = certificateJudge(strangers)
  return ({ peer, route, nowMs }) => {
    const wanted = route.config.clientCertificate
    if (wanted === undefined) return admitted
    const { certificate } = peer
    if (certificate === undefined) return refused('A client certificate is needed here.')
    const read = judge(certificate, peer.trustedCertificate !== undefined, nowMs)
    if (!read.ok)
      return refused('The client certificate is not of an issuer that is trusted here.', read.fault)
    const { notBeforeMs, notAfterMs } = read.value
    // The handshake may be hours ago.
    if (nowMs < notBeforeMs || nowMs >= notAfterMs)
      return refused('The client certificate has expired; connect anew.')
    return wanted.names.length === 0 || wanted.names.some((name) => hasName(read.value, name))
      ? admitted
      : refused('The client certificate is of somebody else.')
  }
}

/** Reads a certificate that TLS could verify (`isTrusted`), or that the bundle of its own trust domain can. */
const certificateJudge = ({ trustDomains, svidOf }: CertifiedStrangers) => {
  /** Of each connection, by which what is remembered of it is found. */
  const parsed = new WeakMap<Buffer, X509Certificate>()
  const certificateOf = (der: Buffer): X509Certificate => {
    const known = parsed.get(der) ?? new X509Certificate(der)
    parsed.set(der, known)
    return known
  }
  return (der: Buffer, isTrusted: boolean, nowMs: number): Outcome<CertificateFacts> => {
    const read = readCertificate(der)
    if (!read.ok) return read
    // Whatever else TLS trusts must not speak for another trust domain.
    const isOfOther =
      trustDomains.size > 0 && read.value.uris.some((uri) => isOneOf(trustDomains, uri))
    if (!isOfOther) return isTrusted ? read : bad('it leads to no root that is trusted here')
    const svid = svidOf(certificateOf(der), nowMs) ?? bad('its trust domain is not accepted here')
    return svid.ok ? good(read.value) : svid
  }
}

const isOneOf = (trustDomains: ReadonlySet<TrustDomain>, uri: string): boolean => {
  const id = parseSpiffeId(uri)
  return id.ok && trustDomains.has(trustDomainOf(id.value))
}

/** A URI is compared byte by byte, a host name without regard to case. */
const hasName = ({ uris, dnsNames }: CertificateFacts, name: string): boolean =>
  name.includes(':')
    ? uris.includes(name)
    : dnsNames.some((own) => own.toLowerCase() === name.toLowerCase())

const refused = (detail: string, cause?: string): Refusal =>
  refuse('client-certificate-refused', { detail, ...(cause === undefined ? {} : { cause }) })
