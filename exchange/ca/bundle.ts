import { createHash } from 'node:crypto'
import { intermediatesMember } from '#identity/svid/bundle'
import { pemOf } from '#identity/svid/pem'
import type { KeyState } from '../keys/key-store.ts'
import { nothingBesides, publicJwkOf, type Besides } from './besides.ts'
import { jwkOf, p256PublicKeyOf } from './p256.ts'
import { everyKey } from './slots.ts'

/** A document for everyone to read and to cache. */
export type PublishedDocument = {
  readonly body: string
  /** Strong, with its quotes. */
  readonly etag: string
}

/** How often readers of the bundle and of the keys should come again. Also how long they may cache them. */
export const refreshHintSeconds = 300

/**
 * The SPIFFE bundle: an entry for each root without a `kid`, and one for each key of JWT-SVIDs with it. The intermediates
 * are there in a member of our own, see `intermediatesMember`. What others certify in our trust domain stands beside it.
 *
 * @see SPIFFE Trust Domain and Bundle §4, X509-SVID §6.2, JWT-SVID §4
 */
export const bundleOf = (state: KeyState, besides: Besides = nothingBesides): PublishedDocument =>
  document({
    keys: [
      ...everyKey(state.roots).map(({ certificate, publicKey }) => ({
        use: 'x509-svid',
        ...jwkOf(p256PublicKeyOf(publicKey)),
        x5c: [certificate.toString('base64')],
      })),
      ...everyKey(state.jwtKeys).map(({ id, publicKey }) => ({
        use: 'jwt-svid',
        kid: id,
        ...jwkOf(p256PublicKeyOf(publicKey)),
      })),
      ...besides.roots.map((certificate) => ({
        use: 'x509-svid',
        ...publicJwkOf(certificate),
        x5c: [certificate.toString('base64')],
      })),
      ...besides.jwtKeys.map((key) => ({ ...key, use: 'jwt-svid' })),
    ],
    [intermediatesMember]: [
      ...everyKey(state.intermediates).map(({ certificate }) => certificate),
      ...besides.intermediates,
    ].map((certificate) => certificate.toString('base64')),
    spiffe_sequence: state.sequence,
    spiffe_refresh_hint: refreshHintSeconds,
  })

/** The keys that check our tokens, for those who know JWT but not SPIFFE. */
export const jwksOf = (state: KeyState): PublishedDocument =>
  document({
    keys: everyKey(state.jwtKeys).map(({ id, publicKey }) => ({
      ...jwkOf(p256PublicKeyOf(publicKey)),
      kid: id,
      use: 'sig',
      alg: 'ES256',
    })),
  })

/** DER of every root that a chain may end in. */
export const rootsOf = ({ roots }: KeyState): readonly Buffer[] =>
  everyKey(roots).map(({ certificate }) => certificate)

/** What the bundle says, apart from its number: if this changes, the number must rise. */
export const bundleContent = ({ roots, intermediates, jwtKeys, besides }: KeyState): string =>
  [...everyKey(roots), ...everyKey(intermediates), ...everyKey(jwtKeys)]
    .map(({ id }) => id)
    .concat(besides ?? '')
    .join(' ')

/**
 * The number after `sequence`. At least the time in seconds, so that it rises even over the loss of what was stored.
 */
export const nextSequence = (sequence: number, nowMs: number): number =>
  Math.max(sequence + 1, Math.floor(nowMs / 1000))

export const certificatePem = (der: Buffer): string => pemOf('CERTIFICATE', der)

const document = (content: object): PublishedDocument => {
  const body = JSON.stringify(content)
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"` }
}
