import type { MintedToken } from '#contract/token-exchange'
import { tokenTypes } from '#contract/token-exchange'
import { oauthErrors, type OAuthError } from './oauth-error.ts'

export type TokenAnswer = {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const always = {
  'content-type': 'application/json',
  // RFC 6749 §5.1.
  'cache-control': 'no-store',
  pragma: 'no-cache',
} as const

/** @see RFC 8693 §2.2.1 */
export const tokenAnswer = (minted: MintedToken): TokenAnswer => ({
  status: 200,
  headers: always,
  body: JSON.stringify({
    access_token: minted.token.reveal(),
    issued_token_type: minted.tokenType,
    // A JWT-SVID is no access token of this server: `N_A`, RFC 8693 §2.2.1.
    token_type: minted.tokenType === tokenTypes.accessToken ? 'Bearer' : 'N_A',
    expires_in: Math.floor((minted.expiresAtMs - minted.issuedAtMs) / 1000),
  }),
})

/**
 * @see RFC 6749 §5.2. `problem` is ours: it tells a gateway more exactly what the code cannot.
 */
export const tokenErrorAnswer = (error: OAuthError): TokenAnswer => ({
  status: oauthErrors[error.code].status,
  headers: {
    ...always,
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
