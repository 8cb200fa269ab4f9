/** How a caller that knows nothing of tokens proves who it is; the `legacy` claim of its tokens says it. */
export const legacyMethods = ['api_key', 'basic', 'signed_request', 'client_certificate'] as const
export type LegacyMethod = (typeof legacyMethods)[number]

/**
 * Type of a `subject_token` of ours (RFC 8693 §3 lets anyone name types): base64url of a `LegacyEvidence` in JSON. Taken
 * from gateways alone.
 */
export const legacyCredentialType = 'urn:sallyport:token-type:legacy-credential'

/** What a gateway saw of such a caller. The exchange knows whose it is, and so nobody else needs to hold even hashes. */
export type LegacyEvidence =
  | { readonly method: 'api_key'; readonly key: string }
  /** The whole `Authorization`. */
  | { readonly method: 'basic'; readonly authorization: string }
  | {
      readonly method: 'signed_request'
      readonly request: {
        readonly method: string
        /** Host and port as the caller knows them. */
        readonly authority: string
        readonly path: string
        /** With its `?`; '' if there is none. */
        readonly query: string
        /** What is signed, and what would have to be. */
        readonly headers: Readonly<Record<string, string>>
        /** The gateway compares it with the signed digest. */
        readonly hasBody: boolean
      }
    }
  /** DER in base64: the handshake proved that the caller has its key, and nothing else. */
  | { readonly method: 'client_certificate'; readonly certificate: string }
