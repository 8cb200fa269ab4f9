import { X509Certificate } from 'node:crypto'
import type { Authorities } from '#identity/svid/chain'
import type { AuthoritySnapshot } from './ca/snapshot.ts'

/** Whose certificates are believed in our own trust domain. The same object as long as nothing has changed. */
export type OwnAuthorities = Authorities & {
  /** PEM of all roots. */
  readonly rootsPem: string
}

/** All that are published: our own CA, and where our own SVID comes from elsewhere, the CA behind that. */
export const ownAuthorities = (authority: () => AuthoritySnapshot): (() => OwnAuthorities) => {
  let made: { readonly of: AuthoritySnapshot; readonly all: OwnAuthorities } | undefined
  return () => {
    const of = authority()
    if (made?.of !== of) made = { of, all: authoritiesOf(of) }
    return made.all
  }
}

const authoritiesOf = ({ roots, intermediates, rootsPem }: AuthoritySnapshot): OwnAuthorities => ({
  roots: roots.map(parse),
  intermediates: intermediates.map(parse),
  rootsPem,
})

const parse = (der: Buffer) => new X509Certificate(der)
