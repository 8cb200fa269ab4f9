import { X509Certificate } from 'node:crypto'

/** The CAs of one trust domain. Those of two are never put together. */
export type Authorities = {
  readonly roots: readonly X509Certificate[]
  /** Known ones: Node shows a server no certificate of its client's chain but the first. */
  readonly intermediates: readonly X509Certificate[]
}

/** `checkIssued` compares names and ids only, `verify` the signature only: it takes both. */
export const isIssuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

/** Whether a root signed it, or a known intermediate that a root signed. */
export const leadsTo = (leaf: X509Certificate, { roots, intermediates }: Authorities): boolean => {
  const isUnderRoot = (certificate: X509Certificate) =>
    roots.some((root) => isIssuedBy(certificate, root))
  return (
    isUnderRoot(leaf) ||
    intermediates.some((issuer) => isIssuedBy(leaf, issuer) && isUnderRoot(issuer))
  )
}
