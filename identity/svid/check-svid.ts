import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { causeText } from '#contract/cause'
import { secret } from '#contract/secret'
import { trustDomainOf, type TrustDomain } from '#contract/spiffe-id'
import { bad, good, type Outcome } from '../outcome.ts'
import { readSvidAuthority, readSvidLeaf } from './certificate.ts'
import { isIssuedBy } from './chain.ts'
import { certificatesOf } from './pem.ts'
import type { Svid } from './svid.ts'

export type SvidParts = {
  /** PEM, leaf first. */
  readonly certificateChain: string
  /** PEM. */
  readonly privateKey: string
  /** PEM. */
  readonly bundle: string
}

/** A clock may differ a little from that of the CA. */
const skewMs = 60_000

/**
 * Makes an SVID of its parts, if they belong together: the leaf is a proper X509-SVID and valid now, the key is the
 * leaf's, and the chain ends at a root of the bundle.
 *
 * @returns A fault says which part is wrong, and never quotes the key.
 */
export const checkSvid = (parts: SvidParts, nowMs: number): Outcome<Svid> => {
  const chain = certificatesOf(parts.certificateChain)
  if (!chain.ok) return bad(`the certificate file: ${chain.fault}`)
  const bundle = certificatesOf(parts.bundle)
  if (!bundle.ok) return bad(`the bundle: ${bundle.fault}`)
  const [leafDer, ...intermediateDers] = chain.value
  const leaf = readSvidLeaf(leafDer)
  if (!leaf.ok) return bad(`the certificate is no X509-SVID: ${leaf.fault}`)
  const { spiffeId, notBeforeMs, notAfterMs } = leaf.value
  if (notAfterMs <= nowMs) return bad('the certificate has expired')
  if (notBeforeMs > nowMs + skewMs) return bad('the certificate is not valid yet')
  const key = readPrivateKey(parts.privateKey)
  if (!key.ok) return key
  const certificate = new X509Certificate(leafDer)
  if (!certificate.checkPrivateKey(key.value)) return bad('the key is not that of the certificate')
  const trustDomain = trustDomainOf(spiffeId)
  const intermediates = authoritiesOf(intermediateDers, trustDomain)
  if (!intermediates.ok) return bad(`an intermediate certificate: ${intermediates.fault}`)
  const roots = authoritiesOf(bundle.value, trustDomain)
  if (!roots.ok) return bad(`a root of the bundle: ${roots.fault}`)
  if (!isChain([certificate, ...intermediates.value], roots.value))
    return bad('the certificate chain does not end at a root of the bundle')
  return good({
    spiffeId,
    certificateChain: parts.certificateChain,
    privateKey: secret(key.value.export({ type: 'pkcs8', format: 'pem' }).toString()),
    bundle: parts.bundle,
    notBeforeMs,
    notAfterMs,
  })
}

const readPrivateKey = (pem: string): Outcome<KeyObject> => {
  try {
    return good(createPrivateKey(pem))
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(`the key cannot be read (${String(cause.code)})`)
  }
}

/** Strict reading comes first: OpenSSL takes BER, and bytes after the certificate. */
const authoritiesOf = (
  ders: readonly Buffer[],
  trustDomain: TrustDomain,
): Outcome<readonly X509Certificate[]> => {
  const certificates: X509Certificate[] = []
  for (const der of ders) {
    const authority = readSvidAuthority(der, trustDomain)
    if (!authority.ok) return authority
    try {
      certificates.push(new X509Certificate(der))
    } catch (cause) {
      return bad(causeText(cause))
    }
  }
  return good(certificates)
}

const isChain = (chain: readonly X509Certificate[], roots: readonly X509Certificate[]): boolean => {
  const last = chain.at(-1)
  return (
    chain.every((certificate, at) => {
      const issuer = chain[at + 1]
      return issuer === undefined || isIssuedBy(certificate, issuer)
    }) &&
    roots.some(
      (root) => last?.fingerprint256 === root.fingerprint256 || (last && isIssuedBy(last, root)),
    )
  )
}
