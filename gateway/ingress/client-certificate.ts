import { admitted, refuse, type Refusal } from '#contract/problem'
import type { Guard } from '#contract/step'
import { readCertificate, type CertificateFacts } from '#identity/svid/certificate'
import type { CompiledRoute } from './compiled-route.ts'
import type { Received } from './received.ts'

/**
 * Lets in only who shows a certificate that leads to the listener's roots, where the route wants one, and if it names
 * names, one of those. The common name is none (RFC 9525 §2).
 *
 * @returns A guard refusing with `client-certificate-refused`.
 */
export const clientCertificate: Guard<
  Pick<Received, 'peer' | 'nowMs'> & { readonly route: CompiledRoute }
> = ({ peer, route, nowMs }) => {
  const wanted = route.config.clientCertificate
  if (wanted === undefined) return admitted
  if (peer.trustedCertificate === undefined)
    return refused(
      peer.certificateSha256 === undefined
        ? 'A client certificate is needed here.'
        : 'The client certificate is not of an issuer that is trusted here.',
    )
  const read = readCertificate(peer.trustedCertificate)
  if (!read.ok) return refused('The client certificate is not acceptable.', read.fault)
  const { notBeforeMs, notAfterMs } = read.value
  // The handshake may be hours ago.
  if (nowMs < notBeforeMs || nowMs >= notAfterMs)
    return refused('The client certificate has expired; connect anew.')
  return wanted.names.length === 0 || wanted.names.some((name) => hasName(read.value, name))
    ? admitted
    : refused('The client certificate is of somebody else.')
}

/** A URI is compared byte by byte, a host name without regard to case. */
const hasName = ({ uris, dnsNames }: CertificateFacts, name: string): boolean =>
  name.includes(':')
    ? uris.includes(name)
    : dnsNames.some((own) => own.toLowerCase() === name.toLowerCase())

const refused = (detail: string, cause?: string): Refusal =>
  refuse('client-certificate-refused', { detail, ...(cause === undefined ? {} : { cause }) })
