import type { X509Certificate } from 'node:crypto'
import { trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import { bad, good, type Outcome } from '../outcome.ts'
import type { Bundle } from '../svid/bundle.ts'
import { readSvidLeaf, type SvidLeaf } from '../svid/certificate.ts'
import { leadsTo } from '../svid/chain.ts'
import type { FederatedBundles } from './federated-bundles.ts'

/**
 * Judges a certificate that TLS could not verify by the roots of our own trust domain.
 *
 * @returns Undefined for one that is of no trust domain that is accepted here.
 */
export type FederatedSvids = (
  certificate: X509Certificate,
  nowMs: number,
) => Outcome<SvidLeaf> | undefined

type Judged = { readonly bundle: Bundle; readonly leaf: Outcome<SvidLeaf> }

/**
 * Knows the members of other trust domains by their certificates. A listener that had the roots of several domains in one
 * store would let each speak for the other, so it has those of our own alone: TLS proves who holds the key of a certificate
 * of elsewhere, and its chain is checked here, by the bundle of its own domain. It has to lead there by a root that signed
 * it, or by an intermediate that the bundle tells of, for a server is not shown those that its client sent.
 *
 * @param accepted As the configuration says for one listener.
 */
export const federatedSvids = (
  federated: Pick<FederatedBundles, 'get'>,
  accepted: ReadonlySet<TrustDomain>,
): FederatedSvids => {
  /** Of each certificate of an open connection, by the bundle that it was judged with. */
  const known = new WeakMap<X509Certificate, Judged>()
  return (certificate, nowMs) => {
    if (accepted.size === 0) return undefined
    const leaf = readSvidLeaf(certificate.raw)
    if (!leaf.ok) return leaf
    const domain = trustDomainOf(leaf.value.spiffeId)
    if (!accepted.has(domain)) return undefined
    const bundle = federated.get(domain)
    if (bundle === undefined) return bad(`the bundle of ${domain} is not known yet`)
    let judged = known.get(certificate)
    if (judged?.bundle !== bundle) {
      judged = { bundle, leaf: judge(certificate, leaf.value, bundle, nowMs) }
      known.set(certificate, judged)
    }
    if (judged.leaf.ok && !isInForce(leaf.value, nowMs))
      return bad(`the certificate of ${leaf.value.spiffeId} is not in force`)
    return judged.leaf
  }
}

const minRsaBits = 2048

const judge = (
  certificate: X509Certificate,
  leaf: SvidLeaf,
  { trustDomain, authorities }: Bundle,
  nowMs: number,
): Outcome<SvidLeaf> => {
  const { modulusLength } = certificate.publicKey.asymmetricKeyDetails ?? {}
  if (modulusLength !== undefined && modulusLength < minRsaBits)
    return bad(`the key of ${leaf.spiffeId} is too short`)
  const inForce = (one: X509Certificate) =>
    one.validFromDate.getTime() <= nowMs && nowMs < one.validToDate.getTime()
  const current = {
    roots: authorities.roots.filter(inForce),
    intermediates: authorities.intermediates.filter(inForce),
  }
  return leadsTo(certificate, current)
    ? good(leaf)
    : bad(`the certificate of ${leaf.spiffeId} does not lead to the bundle of ${trustDomain}`)
}

const isInForce = ({ notBeforeMs, notAfterMs }: SvidLeaf, nowMs: number): boolean =>
  notBeforeMs <= nowMs && nowMs < notAfterMs
