import type { KeyObject } from 'node:crypto'
import type { CertifiedKey, KeyState, SigningKey } from '../keys/key-store.ts'
import { nothingBesides, withoutOurs, type Besides } from './besides.ts'
import { bundleOf, certificatePem, jwksOf, rootsOf, type PublishedDocument } from './bundle.ts'
import { p256PublicKeyOf } from './p256.ts'
import { everyKey } from './slots.ts'
import { tokenHeaders, type TokenHeaders } from './token-headers.ts'

export type CertificateIssuer = {
  readonly privateKey: KeyObject
  readonly subject: string
  readonly keyId: Buffer
  /** DER. */
  readonly certificate: Buffer
  readonly certificatePem: string
  readonly notAfterMs: number
}

export type TokenKey = {
  readonly kid: string
  /** The headers of what it signs, encoded once. */
  readonly headers: TokenHeaders
  readonly privateKey: KeyObject
  readonly notAfterMs: number
}

/** What signs and what is published at one moment. A request keeps the one that it began with. */
export type AuthoritySnapshot = {
  readonly issuer: CertificateIssuer
  readonly tokenKey: TokenKey
  readonly bundle: PublishedDocument
  readonly jwks: PublishedDocument
  /** DER of every intermediate that may have signed what still lives, ours or of who certifies us. */
  readonly intermediates: readonly Buffer[]
  /** DER of every root that is published: active, next and retired, and those of who certifies us. */
  readonly roots: readonly Buffer[]
  /** The same as PEM. */
  readonly rootsPem: string
  /** PEM of every CA of inspected hosts that is published; '' if there is none. */
  readonly inspectionPem: string
  readonly keys: KeyState
}

export const snapshotOf = (
  keys: KeyState,
  authoritiesBesides: Besides = nothingBesides,
): AuthoritySnapshot => {
  const besides = withoutOurs(authoritiesBesides, keys)
  const roots = [...rootsOf(keys), ...besides.roots]
  return {
    issuer: issuerOf(keys.intermediates.active),
    tokenKey: tokenKeyOf(keys.jwtKeys.active),
    bundle: bundleOf(keys, besides),
    jwks: jwksOf(keys),
    intermediates: [
      ...everyKey(keys.intermediates).map(({ certificate }) => certificate),
      ...besides.intermediates,
    ],
    roots,
    rootsPem: roots.map(certificatePem).join(''),
    inspectionPem: (keys.inspectionCas ? everyKey(keys.inspectionCas) : [])
      .map(({ certificate }) => certificatePem(certificate))
      .join(''),
    keys,
  }
}

const issuerOf = (key: CertifiedKey): CertificateIssuer => ({
  privateKey: key.privateKey,
  subject: key.subject,
  keyId: p256PublicKeyOf(key.publicKey).keyId,
  certificate: key.certificate,
  certificatePem: certificatePem(key.certificate),
  notAfterMs: key.notAfterMs,
})

const tokenKeyOf = ({ id, privateKey, notAfterMs }: SigningKey): TokenKey => ({
  kid: id,
  headers: tokenHeaders(id),
  privateKey,
  notAfterMs,
})
