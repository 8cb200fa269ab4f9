import { X509Certificate } from 'node:crypto'
import type { Authorities } from '#identity/svid/chain'
import { certificatesOf } from '#identity/svid/pem'
import type { OwnSvid, Svid } from '#identity/svid/svid'
import type { AuthoritySnapshot } from './ca/snapshot.ts'

/** Whose certificates are believed in our own trust domain. The same object as long as nothing has changed. */
export type OwnAuthorities = Authorities & {
  /** PEM of all roots. */
  readonly rootsPem: string
}

/** Our own CA, and where our own SVID comes from elsewhere, the CA behind that: another of the same trust domain. */
export const ownAuthorities = (
  authority: () => AuthoritySnapshot,
  ownSvid: OwnSvid | undefined,
): (() => OwnAuthorities) => {
  let made: { snapshot: AuthoritySnapshot; svid: Svid | undefined; all: OwnAuthorities } | undefined
  return () => {
    const snapshot = authority()
    const svid = ownSvid?.current()
    if (made?.snapshot !== snapshot || made.svid !== svid)
      made = { snapshot, svid, all: authoritiesOf(snapshot, svid) }
    return made.all
  }
}

const authoritiesOf = (
  { roots, intermediates, rootsPem }: AuthoritySnapshot,
  svid: Svid | undefined,
): OwnAuthorities => ({
  roots: [...roots.map(parse), ...(svid ? parsePem(svid.bundle) : [])],
  intermediates: [
    ...intermediates.map(parse),
    ...(svid ? parsePem(svid.certificateChain).slice(1) : []),
  ],
  rootsPem: rootsPem + (svid?.bundle ?? ''),
})

const parse = (der: Buffer) => new X509Certificate(der)

/** Of an SVID that was checked. */
const parsePem = (pem: string): readonly X509Certificate[] => {
  const certificates = certificatesOf(pem)
  if (!certificates.ok) throw new Error(certificates.fault)
  return certificates.value.map(parse)
}
