import type { Minted } from './mint.ts'
import { oauthErrors, type OAuthError } from './oauth-error.ts'

export type TokenAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Of everything that the endpoints answer. */
export const always = {
  'content-type': 'application/json',
  // RFC 6749 §5.1.
  'cache-control': 'no-store',
  pragma: 'no-cache',
} as const

/** @see RFC 8693 §2.2.1, RFC 9449 §5 */
export const tokenAnswer = (minted: Minted): TokenAnswer => ({
  status: 200,
  headers: always,
  body: JSON.stringify({
    access_token: minted.token.reveal(),
    issued_token_type: minted.tokenType,
    token_type: tokenTypeOf(minted),
    expires_in: minted.expiresAtSeconds - minted.issuedAtSeconds,
    ...(minted.scopes.length === 0 ? {} : { scope: minted.scopes.join(' ') }),
  }),
})

/** Neither a JWT-SVID nor a Txn-Token is an access token of this server: `N_A`, RFC 8693 §2.2.1. */
const tokenTypeOf = ({ kind, confirmation }: Minted): string => {
  if (kind !== 'access-token') return 'N_A'
  return confirmation !== undefined && 'jkt' in confirmation ? 'DPoP' : 'Bearer'
}

/**
 * @see RFC 6749 §5.2. `problem` is ours: it tells a gateway more exactly what the code cannot.
 */
export const tokenErrorAnswer = (error: OAuthError): TokenAnswer => ({
  status: error.status ?? oauthErrors[error.code].status,
  headers: {
    ...always,
    // RFC 6749 §5.2: whoever tried by the header has to be told how to.
    ...(error.code === 'invalid_client' ? { 'www-authenticate': 'Basic realm="sallyport"' } : {}),
    ...(error.retryAfterSeconds === undefined
      ? {}
      : { 'retry-after': String(error.retryAfterSeconds) }),
  },
  body: JSON.stringify({
    error: error.code,
    error_description: error.description,
    problem: error.problem,
  }),
})
