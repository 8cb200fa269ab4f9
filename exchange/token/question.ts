import type { X509Certificate } from 'node:crypto'
import type { MintKind } from '../mint-figures.ts'
import type { Peer } from '../peer.ts'
import type { Minted } from './mint.ts'
import type { OAuthResult } from './oauth-error.ts'

/** A question at the token endpoint, before anything of it is known to be right. */
export type TokenQuestion = {
  readonly peer: Peer
  readonly authorization: string | undefined
  readonly dpop: string | undefined
  /** All of them, for signatures; several of one name are joined by commas. */
  readonly headers: () => Readonly<Record<string, string | undefined>>
  /** Of the connection, whoever issued it. */
  readonly certificate: () => X509Certificate | undefined
  readonly body: Buffer
  readonly path: string
  readonly address: string
  readonly tlsVersion: string
}

export type Exchanged = {
  /** Of what was asked for. */
  readonly kind: MintKind
  readonly result: OAuthResult<Minted>
}
