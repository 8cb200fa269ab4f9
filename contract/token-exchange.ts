import type { Secret } from './secret.ts'
import type { SpiffeId } from './spiffe-id.ts'

/** Words of the token endpoint, spelt as in RFC 8693 §2.1 and §3. */
export const tokenExchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const tokenTypes = {
  /** As subject: any JWT of a trusted issuer. As requested: a JWT-SVID. */
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
  /** As requested: an RFC 9068 access token. */
  accessToken: 'urn:ietf:params:oauth:token-type:access_token',
  /** draft-ietf-oauth-transaction-tokens: for calls inside of one trust domain, never an access token. */
  txnToken: 'urn:ietf:params:oauth:token-type:txn_token',
} as const
/** As subject alone: a `sts:GetCallerIdentity` as a presigned URL, or as a signed POST in JSON. It says nothing that AWS has not confirmed. */
export const awsCallerIdentityType = 'urn:sallyport:params:oauth:token-type:aws-caller-identity'
export type TokenType = (typeof tokenTypes)[keyof typeof tokenTypes]

/**
 * Parameter of ours beside `subject_token`: the `iss` of who issued it. A token that is shown to its issuer to be read
 * must be shown to no other.
 */
export const subjectIssuerParameter = 'subject_issuer'

/**
 * Where a gateway asks several questions at once: a JSON array of `TokenBatchQuestion`s. The answer is one `TokenBatchAnswer` a
 * line, in the order in which they are known.
 */
export const tokenBatchPath = '/token/batch'
/** So many questions at most … */
export const maxTokenBatch = 32
/** … of so many bytes together. */
export const maxTokenBatchBytes = 262_144

export type TokenBatchQuestion = {
  /** As the body of a request to `/token`. */
  readonly form: string
  /** Decision id and `traceparent` of the request that caused it. */
  readonly request_id?: string
  readonly traceparent?: string
}

export type TokenBatchAnswer = {
  /** Its place among the questions. */
  readonly question: number
  /** Status and body that `/token` would give. */
  readonly status: number
  readonly body: Readonly<Record<string, unknown>>
  /** In seconds. */
  readonly retry_after?: number
}

/** What the gateway asks of the exchange. */
export type MintRequest = {
  readonly subjectToken: Secret<string>
  /** By default that of a JWT. */
  readonly subjectTokenType?: string
  /** The `iss` of a token that does not say it itself: only who issued it can read it. */
  readonly subjectIssuer?: string
  /** Sole audience of the minted token: the upstream's SPIFFE ID, or what its route says. */
  readonly audience: string
  readonly requestedTokenType: TokenType
  /** The decision id of the request that caused this one, for both records. */
  readonly decisionId: string
  /** `traceparent` of that request, where traces are taken; only read when the exchange is asked. */
  readonly traceParent?: (() => string | undefined) | undefined
}

/** What it gets back. */
export type MintedToken = {
  readonly token: Secret<string>
  readonly tokenType: TokenType
  readonly subject: SpiffeId
  readonly audience: string
  readonly jti: string
  readonly kid: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

/** Answer to `POST /inspection/certificate`. Times in seconds since 1970. */
export type InspectionLeafAnswer = {
  /** PEM: the leaf alone. */
  readonly certificate: string
  readonly expires_at: number
}

/** Answer to `POST /svid/x509`. Times in seconds since 1970, certificates as PEM. */
export type X509SvidAnswer = {
  readonly spiffe_id: string
  /** Leaf first, then intermediates. */
  readonly x509_svid: string
  /** Roots of the trust domain. */
  readonly bundle: string
  readonly expires_at: number
}
