/** `typ` of what we sign: a JWT-SVID (SPIFFE JWT-SVID §2.3), an access token (RFC 9068 §2.1), a Txn-Token. */
export type HeaderType = 'JWT' | 'at+jwt' | 'txntoken+jwt'

/** By `typ`, in base64url as they stand in a token. */
export type TokenHeaders = Readonly<Record<HeaderType, string>>

/** A JWT-SVID's header has these three members and no other, SPIFFE JWT-SVID §2. */
export const tokenHeaders = (kid: string): TokenHeaders => {
  const encode = (typ: HeaderType) =>
    Buffer.from(JSON.stringify({ alg: 'ES256', kid, typ })).toString('base64url')
  return { JWT: encode('JWT'), 'at+jwt': encode('at+jwt'), 'txntoken+jwt': encode('txntoken+jwt') }
}
