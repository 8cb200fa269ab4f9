import type { Problem, ProblemTag } from '#contract/problem'

/**
 * Every error of the token endpoint. Codes and shape are fixed by others: RFC 6749 §5.2, and RFC 8693 §2.2.2, by which
 * a subject token that is bad in any way is an `invalid_request`, not an `invalid_grant`.
 */
export const oauthErrors = {
  invalid_request: { status: 400 },
  invalid_client: { status: 401 },
  unauthorized_client: { status: 400 },
  unsupported_grant_type: { status: 400 },
  invalid_scope: { status: 400 },
  /** RFC 9449 §5. */
  invalid_dpop_proof: { status: 400 },
  /** RFC 7009 §2.2.1. */
  unsupported_token_type: { status: 400 },
  /** RFC 8693 §2.2.2. */
  invalid_target: { status: 400 },
  /** Both as in RFC 6749 §4.1.2.1, which names them for where no status could tell. */
  server_error: { status: 500 },
  temporarily_unavailable: { status: 503 },
} as const satisfies Record<string, { readonly status: number }>

export type OAuthErrorCode = keyof typeof oauthErrors

export type OAuthError = {
  readonly code: OAuthErrorCode
  /** Told to the client: ASCII without `"` and `\`, nothing that it may not know. */
  readonly description: string
  /** The problem as records and metrics have it. */
  readonly problem: ProblemTag
  /** For the record alone. */
  readonly cause?: unknown
  readonly retryAfterSeconds?: number
  /** Where the code alone would give a wrong one: 429 for who asks too often. */
  readonly status?: number
}

export type OAuthRefusal = { readonly ok: false; readonly error: OAuthError }
export type OAuthResult<T> = { readonly ok: true; readonly value: T } | OAuthRefusal

/** As its record has it. */
export const problemOf = ({ problem: tag, description: detail, cause }: OAuthError): Problem => ({
  tag,
  detail,
  ...(cause === undefined ? {} : { cause }),
})

export const grantedAs = <T>(value: T): OAuthResult<T> => ({ ok: true, value })

export const oauthRefuse = (
  code: OAuthErrorCode,
  problem: ProblemTag,
  description: string,
  more: Pick<OAuthError, 'cause' | 'retryAfterSeconds' | 'status'> = {},
): OAuthRefusal => ({ ok: false, error: { code, problem, description, ...more } })
