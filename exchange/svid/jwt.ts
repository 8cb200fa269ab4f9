import { sign } from 'node:crypto'
import type { RandomBytes } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { derToP1363 } from '#identity/jwt/ecdsa-signature'
import type { TokenKey } from '../ca/snapshot.ts'
import type { HeaderType } from '../ca/token-headers.ts'

/** What a token says, times in whole seconds since 1970. */
export type TokenContent = {
  readonly issuer: string
  readonly subject: SpiffeId
  readonly audience: string
  readonly issuedAtSeconds: number
  readonly expiresAtSeconds: number
  /** Claims besides, none of which has a name of those above. */
  readonly more?: Readonly<Record<string, unknown>>
}

export type SignedToken = { readonly token: string; readonly jti: string; readonly kid: string }

/**
 * A JWT-SVID. Its header has `alg`, `kid` and `typ` and nothing else; one audience.
 *
 * @see SPIFFE JWT-SVID §2 and §3
 */
export const signJwtSvid = (
  content: TokenContent,
  key: TokenKey,
  randomBytes: RandomBytes,
): SignedToken => signToken('JWT', content, {}, key, randomBytes)

/**
 * An access token. It cannot be a JWT-SVID too: that allows no `typ` of `at+jwt`.
 *
 * @param clientId Who asked for it.
 * @see RFC 9068 §2
 */
export const signAccessToken = (
  content: TokenContent,
  clientId: string,
  key: TokenKey,
  randomBytes: RandomBytes,
): SignedToken => signToken('at+jwt', content, { client_id: clientId }, key, randomBytes)

/**
 * A Txn-Token: `txn`, `scope`, `req_wl`, `tctx` and `rctx` are among its `more`.
 *
 * @see draft-ietf-oauth-transaction-tokens §5
 */
export const signTxnToken = (
  content: TokenContent,
  key: TokenKey,
  randomBytes: RandomBytes,
): SignedToken => signToken('txntoken+jwt', content, {}, key, randomBytes)

const jtiBytes = 16
/** Of r and of s. */
const es256Bytes = 32

const signToken = (
  type: HeaderType,
  content: TokenContent,
  more: Readonly<Record<string, string>>,
  { kid, headers, privateKey }: TokenKey,
  randomBytes: RandomBytes,
): SignedToken => {
  const jti = randomBytes(jtiBytes).toString('base64url')
  const claims = {
    iss: content.issuer,
    sub: content.subject,
    aud: content.audience,
    iat: content.issuedAtSeconds,
    exp: content.expiresAtSeconds,
    jti,
    ...more,
    ...content.more,
  }
  const signingInput = `${headers[type]}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}`
  // The key goes bare, and the form is changed by hand: asking for P1363 by an options object makes Node 24 throw and
  // catch two errors inside, which takes longer than the signature.
  const signature = derToP1363(sign('sha256', Buffer.from(signingInput), privateKey), es256Bytes)
  return { token: `${signingInput}.${signature.toString('base64url')}`, jti, kid }
}
