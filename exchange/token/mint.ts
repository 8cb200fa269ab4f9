import { hash } from 'node:crypto'
import type { RandomBytes } from '#contract/clock'
import { secret, type Secret } from '#contract/secret'
import { tokenTypes, type TokenType } from '#contract/token-exchange'
import type { TokenKey } from '../ca/snapshot.ts'
import { signAccessToken, signJwtSvid, signTxnToken, type SignedToken } from '../svid/jwt.ts'
import type { Grant } from './grant.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'

export type MintParts = {
  /** `iss` of what is minted. */
  readonly issuer: string
  readonly tokenKey: () => TokenKey
  readonly randomBytes: RandomBytes
}

/** A token that was minted, with what records and the answer say of it. */
export type Minted = Pick<
  Grant,
  | 'kind'
  | 'subject'
  | 'audience'
  | 'scopes'
  | 'confirmation'
  | 'issuedAtSeconds'
  | 'expiresAtSeconds'
> & {
  readonly token: Secret<string>
  readonly tokenType: TokenType
  readonly jti: string
  readonly kid: string
  readonly txn: string | undefined
  /** SHA-256 of its signing input: what tokens that come from it name as their parent. */
  readonly fingerprint: string
}

const txnBytes = 16
const typeOf = {
  'jwt-svid': tokenTypes.jwt,
  'access-token': tokenTypes.accessToken,
  'txn-token': tokenTypes.txnToken,
} as const satisfies Record<Grant['kind'], TokenType>

/** Signs what was granted. Refuses with `temporarily_unavailable` while there is no key to sign with. */
export const mint = (
  granted: Grant,
  { issuer, tokenKey, randomBytes }: MintParts,
  nowMs: number,
): OAuthResult<Minted> => {
  const key = tokenKey()
  if (key.notAfterMs <= nowMs)
    return oauthRefuse(
      'temporarily_unavailable',
      'identity-unavailable',
      'nothing can be signed at the moment',
      { cause: `key ${key.kid} is over and no other is active`, retryAfterSeconds: 10 },
    )
  const { kind, subject, audience, scopes, confirmation, transaction } = granted
  const { issuedAtSeconds, expiresAtSeconds } = granted
  const txn = transaction && (transaction.txn ?? randomBytes(txnBytes).toString('base64url'))
  const times = { issuedAtSeconds, expiresAtSeconds }
  const content = { issuer, subject, audience, ...times, more: claimsOf(granted, txn) }
  const signed = sign(granted, content, key, randomBytes)
  return grantedAs({
    kind,
    subject,
    audience,
    scopes,
    confirmation,
    ...times,
    token: secret(signed.token),
    tokenType: typeOf[kind],
    jti: signed.jti,
    kid: signed.kid,
    txn,
    fingerprint: fingerprintOf(signed.token),
  })
}

const sign = (
  { kind, clientId }: Grant,
  content: Parameters<typeof signJwtSvid>[0],
  key: TokenKey,
  randomBytes: RandomBytes,
): SignedToken => {
  switch (kind) {
    case 'jwt-svid':
      return signJwtSvid(content, key, randomBytes)
    case 'access-token':
      return signAccessToken(content, clientId, key, randomBytes)
    case 'txn-token':
      return signTxnToken(content, key, randomBytes)
    default:
      return kind satisfies never
  }
}

const claimsOf = (
  { scopes, act, confirmation, transaction, provenance }: Grant,
  txn: string | undefined,
): Record<string, unknown> => ({
  ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
  ...(act === undefined ? {} : { act }),
  ...(confirmation === undefined ? {} : { cnf: confirmation }),
  ...(provenance === undefined ? {} : { legacy: provenance }),
  ...(transaction === undefined
    ? {}
    : {
        txn,
        req_wl: transaction.requesters,
        ...(transaction.details === undefined ? {} : { tctx: transaction.details }),
        ...(transaction.context === undefined ? {} : { rctx: transaction.context }),
      }),
})

const fingerprintOf = (token: string): string =>
  hash('sha256', token.slice(0, token.lastIndexOf('.')), 'base64url')
