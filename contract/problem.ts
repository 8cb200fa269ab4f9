/**
 * Every refusal that a caller can meet at the edge. Tags are API: they stand in answers, audit records, metrics and
 * documentation, and are never reused for something else.
 *
 * `status` is what the caller gets, `title` what a person reads (RFC 9457 §3.1). The token endpoint has a table of its
 * own (`exchange/token/oauth-error.ts`), for RFC 6749 §5.2 fixes another shape there.
 */
export const problems = {
  // What arrived is not a request that we can be sure of.
  'request-malformed': { status: 400, title: 'The request is not well-formed.' },
  'host-invalid': { status: 400, title: 'The Host header is missing, repeated or not a host.' },
  'header-invalid': { status: 400, title: 'A header is not acceptable.' },
  'header-repeated': { status: 400, title: 'A header that may come once came more than once.' },
  'path-invalid': { status: 400, title: 'The path is ambiguous or not well-formed.' },
  'method-not-allowed': { status: 405, title: 'This method is not served here.' },
  'grpc-needs-http2': { status: 400, title: 'gRPC is served over HTTP/2 alone.' },
  'upgrade-refused': { status: 400, title: 'This upgrade is not offered here.' },
  'request-timeout': { status: 408, title: 'The request took too long to arrive.' },
  'body-too-large': { status: 413, title: 'The body is too large.' },
  'target-too-long': { status: 414, title: 'The request target is too long.' },
  'expectation-failed': { status: 417, title: 'This expectation cannot be met.' },
  'connection-idle': { status: 408, title: 'Nothing was sent on this connection for too long.' },
  'host-misdirected': { status: 421, title: 'This host is not served on this connection.' },
  'connection-abused': {
    status: 400,
    title: 'This connection broke the rules of HTTP/2 or its limits.',
  },
  'headers-too-large': { status: 431, title: 'The headers are too large.' },

  // Who is calling.
  'token-missing': { status: 401, title: 'A bearer token is required.' },
  'token-malformed': { status: 401, title: 'The token is not a well-formed JWT.' },
  'token-algorithm-refused': { status: 401, title: 'The algorithm of the token is not accepted.' },
  'token-type-refused': { status: 401, title: 'This kind of token is not accepted here.' },
  'token-issuer-unknown': { status: 401, title: 'The issuer of the token is not trusted here.' },
  'token-key-unknown': { status: 401, title: 'The key of the token is not known.' },
  'token-signature-invalid': { status: 401, title: 'The signature of the token is not valid.' },
  'token-audience-wrong': { status: 401, title: 'The token is meant for another audience.' },
  'token-expired': { status: 401, title: 'The token has expired.' },
  'token-not-yet-valid': { status: 401, title: 'The token is not valid yet.' },
  'token-claim-missing': { status: 401, title: 'The token lacks a claim that is required.' },
  'token-claim-invalid': { status: 401, title: 'A claim of the token is not acceptable.' },
  'token-lifetime-too-long': { status: 401, title: 'The token lives longer than is accepted.' },
  'token-expires-too-soon': {
    status: 401,
    title: 'The token has too little life left to be used.',
  },
  'issuer-unavailable': {
    status: 503,
    title: 'Tokens of this issuer cannot be checked at the moment.',
  },
  'token-inactive': { status: 401, title: 'Its issuer says that the token is not active.' },
  'introspection-unavailable': {
    status: 503,
    title: 'The issuer of the token cannot be asked about it at the moment.',
  },
  'token-replayed': { status: 401, title: 'This was used before and is good once.' },
  'replay-unavailable': {
    status: 503,
    title: 'What is good once cannot be taken at the moment.',
  },
  'dpop-proof-invalid': { status: 401, title: 'The DPoP proof is not acceptable.' },
  'dpop-nonce-needed': { status: 401, title: 'The DPoP proof needs the nonce of this answer.' },
  'token-holder-unproven': {
    status: 401,
    title: 'This token is bound to a key that its sender does not prove to hold.',
  },
  'token-not-bound': { status: 401, title: 'A token that is bound to a key is needed here.' },
  'credential-missing': { status: 401, title: 'A credential is required.' },
  'credential-ambiguous': { status: 400, title: 'There is more than one credential.' },
  'credential-refused': { status: 401, title: 'The credential is not acceptable.' },
  'client-certificate-refused': {
    status: 403,
    title: 'A client certificate that is trusted here is needed.',
  },
  'spiffe-id-invalid': { status: 400, title: 'This is not a SPIFFE ID.' },
  'identity-unmapped': { status: 403, title: 'This caller has no identity here.' },

  // Whether it may.
  quarantined: { status: 403, title: 'This caller is cut off.' },
  'quarantine-unavailable': {
    status: 503,
    title: 'Who is cut off cannot be known or changed at the moment.',
  },
  'rate-exceeded': { status: 429, title: 'Too many requests.' },
  'attack-suspected': { status: 403, title: 'The request looks like an attack.' },
  'origin-refused': {
    status: 403,
    title: 'Pages of this origin may not call this from a browser.',
  },
  'policy-denied': { status: 403, title: 'The policy does not allow this.' },
  'policy-failed': { status: 500, title: 'The policy could not decide.' },

  // Where it would go.
  'route-unknown': { status: 404, title: 'Nothing is served here.' },
  'identity-unavailable': { status: 503, title: 'No mesh identity can be had at the moment.' },
  'identity-drift': { status: 500, title: 'Gateway and exchange disagree on who this caller is.' },
  'upstream-unreachable': { status: 502, title: 'The service could not be reached.' },
  'upstream-without-http2': {
    status: 502,
    title: 'The service does not speak HTTP/2, which gRPC needs.',
  },
  'upstream-identity-wrong': { status: 502, title: 'The service could not prove who it is.' },
  'upstream-broken': { status: 502, title: 'The service broke off its answer.' },
  'upstream-busy': { status: 503, title: 'The service has all the requests that it may have.' },
  'upstream-timeout': { status: 504, title: 'The service took too long to answer.' },

  // On the way out.
  'authority-invalid': { status: 400, title: 'The destination is not exactly one host and port.' },
  'authority-mismatch': { status: 400, title: 'The request names two different destinations.' },
  'workload-unidentified': { status: 407, title: 'A workload identity of the mesh is required.' },
  'destination-denied': { status: 403, title: 'This workload may not go there.' },
  'address-denied': {
    status: 403,
    title: 'The destination is at an address that is closed to this workload.',
  },
  'destination-unresolved': { status: 502, title: 'The name of the destination was not resolved.' },
  'destination-unreachable': { status: 502, title: 'The destination could not be reached.' },
  'destination-untrusted': { status: 502, title: 'The destination could not prove who it is.' },
  'destination-broken': { status: 502, title: 'The destination broke off its answer.' },
  'destination-timeout': { status: 504, title: 'The destination took too long.' },
  'credential-unavailable': {
    status: 503,
    title: 'What goes along with this request cannot be had at the moment.',
  },
  'credential-withheld': {
    status: 502,
    title: 'What goes along with this request was refused to this workload.',
  },
  'credential-returned': {
    status: 502,
    title: 'The answer holds what was added to the request, and was stopped.',
  },
  'server-name-refused': {
    status: 403,
    title: 'The TLS server name is not that of the tunnel.',
  },
  'inspection-unavailable': {
    status: 503,
    title: 'No certificate to look into this connection can be had at the moment.',
  },
  'inspection-failed': {
    status: 400,
    title: 'The TLS of a connection that is looked into did not come about.',
  },
  'tunnels-exceeded': { status: 429, title: 'This workload has too many tunnels open.' },
  'bytes-exceeded': { status: 429, title: 'This workload has moved all the bytes of its day.' },

  // At the exchange.
  'client-unauthenticated': { status: 401, title: 'The client could not prove who it is.' },
  'client-not-allowed': { status: 403, title: 'This client may not ask for this.' },
  'exchange-request-invalid': { status: 400, title: 'The request for a token is not acceptable.' },
  'grant-unsupported': { status: 400, title: 'This grant is not offered.' },
  'target-refused': { status: 400, title: 'Tokens are not minted for this audience.' },
  'scope-refused': { status: 400, title: 'This scope cannot be had.' },
  'delegation-refused': { status: 400, title: 'This party may not act for this subject.' },
  'token-revoked': { status: 401, title: 'The token was revoked.' },
  'join-token-refused': { status: 401, title: 'This join token is not good for anything.' },
  'inspection-refused': {
    status: 403,
    title: 'No certificate for this host is issued here.',
  },
  'csr-refused': { status: 400, title: 'The certificate signing request is not acceptable.' },
  'order-refused': { status: 409, title: 'This cannot be done now.' },
  'media-type-refused': { status: 415, title: 'A body of this type is not accepted here.' },

  // The gateway itself.
  'audit-unavailable': { status: 503, title: 'Requests cannot be recorded at the moment.' },
  overloaded: { status: 503, title: 'The gateway is too busy.' },
  draining: { status: 503, title: 'The gateway is shutting down.' },
  'caller-gone': { status: 499, title: 'The caller went away.' },
  internal: { status: 500, title: 'Something of ours broke.' },
} as const satisfies Record<string, { readonly status: number; readonly title: string }>

export type ProblemTag = keyof typeof problems

export const isProblemTag = (text: string): text is ProblemTag => Object.hasOwn(problems, text)

/** Why something was refused: one side for the caller, one for the record. */
export type Problem = {
  readonly tag: ProblemTag
  /** Told to the caller. Nothing goes here that the caller did not send or may not know. */
  readonly detail?: string
  /** Told to the audit log only: upstream errors, rule ids, key ids. */
  readonly cause?: unknown
  /** What the answer must carry: WWW-Authenticate, Retry-After, DPoP-Nonce, Allow. */
  readonly headers?: Readonly<Record<string, string>>
}

export type Refusal = { readonly ok: false; readonly problem: Problem }
export type Result<T> = { readonly ok: true; readonly value: T } | Refusal

export const pass = <T>(value: T): Result<T> => ({ ok: true, value })

export const refuse = (tag: ProblemTag, more: Omit<Problem, 'tag'> = {}): Refusal => ({
  ok: false,
  problem: { tag, ...more },
})

/** What a guard says that has no objection. */
export const admitted: Result<void> = Object.freeze({ ok: true, value: undefined })
