import { isoTime, type RandomBytes } from '#contract/clock'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { tokenTypes, type MintedToken, type TokenType } from '#contract/token-exchange'
import type { TokenKey } from '../ca/snapshot.ts'
import type { MintKind } from '../mint-figures.ts'
import type { ExchangeRecord } from '../record.ts'
import { signAccessToken, signJwtSvid } from '../svid/jwt.ts'
import { grant, type Grant, type GrantPolicy } from './grant.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import { parseExchangeRequest } from './request.ts'
import { identifySubject, type MapIdentity, type VerifySubjectToken } from './subject-token.ts'

export type TokenExchangeParts = {
  readonly verifySubjectToken: VerifySubjectToken
  readonly mapIdentity: MapIdentity
  readonly policy: GrantPolicy
  /** `iss` of what is minted. */
  readonly issuer: string
  readonly tokenKey: () => TokenKey
  readonly randomBytes: RandomBytes
}

export type Exchanged = {
  /** Of what was asked for. */
  readonly kind: MintKind
  readonly result: OAuthResult<MintedToken>
}

/** What is put into a record of a token's fingerprint: enough to find it again, not enough to be one. */
const fingerprintChars = 16

/**
 * One exchange, top to bottom, for a client that has proven who it is. Each step is named before it is taken, so a refusal's
 * record says where it stopped and has all that was known by then.
 */
export const exchangeToken =
  (parts: TokenExchangeParts) =>
  async (
    client: SpiffeId,
    body: Buffer,
    nowMs: number,
    record: Pick<ExchangeRecord, 'at' | 'learn'>,
  ): Promise<Exchanged> => {
    record.at('request')
    const request = parseExchangeRequest(body)
    if (!request.ok) return { kind: 'unknown', result: request }
    const kind = kindOf(request.value.requestedTokenType)

    record.at('subject token')
    const token = await parts.verifySubjectToken(request.value.subjectToken, nowMs)
    if (!token.ok) return { kind, result: token }
    const { issuerName, subject: outside, fingerprint, kid, jti, expiresAtMs } = token.value
    record.learn({
      parent: fingerprint,
      caller: {
        issuer: issuerName,
        subject: outside,
        tokenFingerprint: fingerprint.slice(0, fingerprintChars),
        kid,
        ...(jti === undefined ? {} : { jti }),
        expiresAt: isoTime(expiresAtMs),
      },
    })

    record.at('identify')
    const subject = identifySubject(token.value, parts.mapIdentity)
    if (!subject.ok) return { kind, result: subject }
    record.learn({ spiffeId: subject.value.spiffeId, mapping: subject.value.rule })

    record.at('grant')
    const granted = grant(request.value, client, subject.value, parts.policy, nowMs)
    if (!granted.ok) return { kind, result: granted }

    record.at('mint')
    const minted = mint(granted.value, parts, nowMs)
    if (!minted.ok) return { kind, result: minted }
    const { tokenType, subject: sub, audience, jti: mintedJti, kid: mintedKid } = minted.value
    record.learn({
      minted: {
        tokenType,
        subject: sub,
        audience,
        jti: mintedJti,
        kid: mintedKid,
        expiresAt: isoTime(minted.value.expiresAtMs),
        fromCache: false,
      },
    })
    return { kind, result: minted }
  }

const kindOf = (type: TokenType): MintKind =>
  type === tokenTypes.accessToken ? 'access-token' : 'jwt-svid'

const mint = (
  granted: Grant,
  { issuer, tokenKey, randomBytes }: TokenExchangeParts,
  nowMs: number,
): OAuthResult<MintedToken> => {
  const key = tokenKey()
  if (key.notAfterMs <= nowMs)
    return oauthRefuse(
      'temporarily_unavailable',
      'identity-unavailable',
      'nothing can be signed at the moment',
      { cause: `key ${key.kid} is over and no other is active`, retryAfterSeconds: 10 },
    )
  const content = { issuer, ...granted }
  const signed =
    granted.tokenType === tokenTypes.accessToken
      ? signAccessToken(content, granted.clientId, key, randomBytes)
      : signJwtSvid(content, key, randomBytes)
  return grantedAs({
    token: secret(signed.token),
    tokenType: granted.tokenType,
    subject: granted.subject,
    audience: granted.audience,
    jti: signed.jti,
    kid: signed.kid,
    issuedAtMs: granted.issuedAtSeconds * 1000,
    expiresAtMs: granted.expiresAtSeconds * 1000,
  })
}
