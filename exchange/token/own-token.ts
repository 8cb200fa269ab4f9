import { hash, type KeyObject } from 'node:crypto'
import { refuse, pass, type Result } from '#contract/problem'
import { parseSpiffeId, trustDomainOf, type SpiffeId, type TrustDomain } from '#contract/spiffe-id'
import { deepFreeze } from '#contract/deep-freeze'
import { signatureAlgorithmShapes } from '#identity/jwt/signature-algorithm'
import { maxTokenChars, parseClaims, parseCompactJws } from '#identity/jwt/strict-parse'
import { checkTimes, readTimes } from '#identity/jwt/times'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { AuthoritySnapshot } from '../ca/snapshot.ts'
import { everyKey } from '../ca/slots.ts'
import { tokenHeaders, type HeaderType } from '../ca/token-headers.ts'

export type OwnTokenKind = 'jwt-svid' | 'access-token' | 'txn-token'

export type OwnToken = {
  readonly token: VerifiedToken
  readonly kind: OwnTokenKind
  readonly spiffeId: SpiffeId
}

/** Undefined for what does not say that it is ours. */
export type VerifyOwnToken = (token: string, nowMs: number) => Result<OwnToken> | undefined

export type OwnTokenParts = {
  readonly issuer: string
  readonly trustDomain: TrustDomain
  readonly authority: () => AuthoritySnapshot
  readonly isRevoked: (jti: string) => boolean
}

/** What records call us as an issuer; no issuer of the configuration can have this name. */
export const ownIssuerName = '(this exchange)'

const kindOfType = {
  JWT: 'jwt-svid',
  'at+jwt': 'access-token',
  'txntoken+jwt': 'txn-token',
} as const satisfies Record<HeaderType, OwnTokenKind>
const { verify: verifyEs256 } = signatureAlgorithmShapes.ES256
/** None that we mint lives longer. */
const longestLifetimeSeconds = 3600

/**
 * Checks tokens that we minted: by the keys that are published now, their times to the second (the clock is the one that
 * made them), and that they were not revoked.
 */
export const ownTokenVerifier = ({
  issuer,
  trustDomain,
  authority,
  isRevoked,
}: OwnTokenParts): VerifyOwnToken => {
  let known:
    | { readonly of: AuthoritySnapshot; readonly byHeader: ReadonlyMap<string, OwnKey> }
    | undefined
  const keyOf = (header: string): OwnKey | undefined => {
    const of = authority()
    if (known?.of !== of) known = { of, byHeader: keysByHeader(of) }
    return known.byHeader.get(header)
  }

  return (text, nowMs) => {
    if (text.length > maxTokenChars) return undefined
    const own = keyOf(text.slice(0, text.indexOf('.')))
    if (own === undefined) return undefined
    const { kind, key } = own
    const jws = parseCompactJws(text)
    if (!jws.ok) return jws
    const { header, signingInput, signature } = jws.value
    if (!verifyEs256(Buffer.from(signingInput, 'latin1'), key, signature))
      return refuse('token-signature-invalid')
    const claims = parseClaims(jws.value)
    if (!claims.ok) return claims
    if (claims.value['iss'] !== issuer) return refuse('token-issuer-unknown')

    const { sub, aud, jti } = claims.value
    const spiffeId = typeof sub === 'string' ? parseSpiffeId(sub) : undefined
    if (!spiffeId?.ok || trustDomainOf(spiffeId.value) !== trustDomain)
      return refuse('token-claim-invalid', { cause: 'its sub is not of our trust domain' })
    if (typeof aud !== 'string' || typeof jti !== 'string')
      return refuse('token-claim-invalid', { cause: 'its aud or jti' })
    const times = readTimes(claims.value, longestLifetimeSeconds, nowMs)
    if (!times.ok) return times
    const timely = checkTimes(times.value, { skewSeconds: 0, minRemainingSeconds: 0 }, nowMs)
    if (!timely.ok) return timely
    if (isRevoked(jti)) return refuse('token-revoked', { cause: `jti ${jti}` })
    return pass({
      kind,
      spiffeId: spiffeId.value,
      token: Object.freeze({
        issuerName: ownIssuerName,
        issuer,
        subject: spiffeId.value,
        audiences: Object.freeze([aud]),
        claims: deepFreeze(claims.value),
        kid: header.kid,
        jti,
        issuedAtMs: times.value.iat === undefined ? undefined : times.value.iat * 1000,
        expiresAtMs: times.value.exp * 1000,
        fingerprint: hash('sha256', signingInput, 'base64url'),
        comesAgain: false,
      }),
    })
  }
}

type OwnKey = { readonly kind: OwnTokenKind; readonly key: KeyObject }

/**
 * Everything that we sign has one of very few headers, so the header alone tells whether a token can be ours, and what it
 * is: nothing of another's token has to be read for that.
 */
const keysByHeader = ({ keys }: AuthoritySnapshot): ReadonlyMap<string, OwnKey> =>
  new Map(
    everyKey(keys.jwtKeys).flatMap(({ id, publicKey: key }) =>
      Object.entries(tokenHeaders(id)).map(([type, header]) => [
        header,
        { kind: kindOfType[type as HeaderType], key },
      ]),
    ),
  )
