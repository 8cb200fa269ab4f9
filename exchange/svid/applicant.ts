import { admitted, pass, refuse, type Result } from '#contract/problem'
import type { SpendOnce } from '#contract/replay'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Soon } from '#contract/step'
import { confirmationOf } from '#identity/jwt/confirmation'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import type { JoinTokens } from '../join-tokens.ts'
import type { ExchangePolicy } from '../token/decide.ts'
import type { TakeOne } from '../token/limit.ts'
import { factsOf, mappedFacts } from '../token/notes.ts'
import type { FindGrant } from '../token/grants.ts'
import { refuseToken } from '#identity/jwt/challenge'
import type { MapIdentity } from '../token/party.ts'
import {
  applicant,
  mayHaveCertificate,
  problemOf,
  type Applicant,
  type ApplicantNotes,
  type ApplicantQuestion,
} from './application.ts'
import { byLegacy, showsLegacy, showsTwo, type LegacyApplicants } from './legacy-applicant.ts'

export type ApplicantParts = {
  readonly joinTokens: JoinTokens
  /** Who may hold a certificate at all: whom the configuration names no more cannot renew for ever. */
  readonly holders: ReadonlySet<SpiffeId>
  readonly gateways: ReadonlySet<SpiffeId>
  readonly verify: VerifyToken
  /** Names of all issuers, of those whose bearers may ask for themselves, and of those whose tokens are good once. */
  readonly issuers: ReadonlySet<string>
  readonly selfServiceIssuers: ReadonlySet<string>
  readonly oneTimeIssuers: ReadonlySet<string>
  /** Also to gateways, by rules that name one on purpose. */
  readonly mapHolder: MapIdentity
  readonly findGrant: FindGrant
  readonly decide: ExchangePolicy
  readonly limits: { readonly subject: TakeOne | undefined }
  readonly spendOnce: SpendOnce
  /** Undefined where no legacy caller is known. */
  readonly legacy: LegacyApplicants | undefined
}

const jwtBearer = /^Bearer +([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)$/i
const joinTokenBearer = /^Bearer +([\w.~+/-]{1,200}=*)$/i

/**
 * Finds out who asks. A bearer token counts before the certificate of the connection: one method a request. A JWT is that of
 * a platform, any other a join token. An API key, a password, a signature or a certificate of another CA is a legacy caller's.
 *
 * @returns Refuses with `join-token-refused`, `client-unauthenticated`, `credential-ambiguous`, `client-not-allowed`, or as the token, the mapping,
 *   the limit or the policy does.
 * @see RFC 6750 §2.1 and §3
 */
export const applicantOf = (
  question: ApplicantQuestion,
  parts: ApplicantParts,
  nowMs: number,
  record: ApplicantNotes,
): Soon<Result<Applicant>> => {
  const { authorization, peer } = question
  if (showsTwo(question)) return refuse('credential-ambiguous')
  if (parts.legacy && showsLegacy(question)) return byLegacy(question, parts, nowMs, record)
  if (authorization !== undefined) {
    const [, jwt] = jwtBearer.exec(authorization) ?? []
    return jwt === undefined
      ? byJoinToken(authorization, parts)
      : byPlatformToken(jwt, question, parts, nowMs, record)
  }
  if (peer.kind !== 'proven')
    return refuse('client-unauthenticated', {
      detail: 'Bring a join token, a platform token, or the certificate that is to be renewed.',
      headers: { 'www-authenticate': 'Bearer' },
      ...(peer.kind === 'refused' ? { cause: peer.fault } : {}),
    })
  if (!parts.holders.has(peer.spiffeId)) return refuse('client-not-allowed')
  return pass(applicant('certificate', peer.spiffeId))
}

const byJoinToken = (authorization: string, { joinTokens }: ApplicantParts): Result<Applicant> => {
  const [, token] = joinTokenBearer.exec(authorization) ?? []
  const spiffeId = token === undefined ? undefined : joinTokens.find(token)
  if (token === undefined || spiffeId === undefined)
    return refuse('join-token-refused', {
      headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
    })
  const spend = () =>
    joinTokens.spend(token) === undefined
      ? refuse('join-token-refused', { cause: 'it was spent a moment ago' })
      : admitted
  return pass(applicant('join-token', spiffeId, { spend }))
}

const byPlatformToken = async (
  jwt: string,
  question: ApplicantQuestion,
  parts: ApplicantParts,
  nowMs: number,
  record: ApplicantNotes,
): Promise<Result<Applicant>> => {
  record.at('subject token')
  const verified = await parts.verify(jwt, parts.issuers, nowMs)
  if (!verified.ok) return verified
  const token = verified.value
  record.learn(factsOf(token))
  if (confirmationOf(token) !== undefined)
    return refuse('token-claim-invalid', {
      cause: 'it is bound to a key, of which there is no proof here',
    })
  record.at('identify')
  const mapped = parts.mapHolder(token)
  if (!mapped.ok) return mapped
  const { spiffeId } = mapped.value
  record.learn({ ...mappedFacts(mapped.value), client: 'self' })
  record.at('grant')
  const allowed = allow(token, spiffeId, parts)
  if (!allowed.ok) return allowed
  const grant = allowed.value
  const mayHave = await mayHaveCertificate(
    question,
    { spiffeId, token },
    { client: 'self', grant },
    parts,
    nowMs,
    record,
  )
  if (!mayHave.ok) return mayHave
  return pass(
    applicant('token', spiffeId, {
      client: 'self',
      notAfterMs: token.expiresAtMs,
      parent: token.fingerprint,
      spend: () =>
        parts.oneTimeIssuers.has(token.issuerName)
          ? parts.spendOnce('subject-token', token.fingerprint, token.expiresAtMs + maxSkewMs)
          : admitted,
    }),
  )
}

/** The most that an issuer's `skewSeconds` can grant. */
const maxSkewMs = 120_000

/**
 * A gateway is known by a rule that names it; anyone else needs a grant. A certificate can name nobody who acts for its
 * subject, so tokens that do, or say who may, are not taken.
 */
const allow = (
  token: VerifiedToken,
  spiffeId: SpiffeId,
  { gateways, selfServiceIssuers, findGrant }: ApplicantParts,
): Result<
  { readonly name: string; readonly requires: Readonly<Record<string, unknown>> } | undefined
> => {
  if (token.claims['act'] !== undefined || token.claims['may_act'] !== undefined)
    return refuseToken('delegation-refused', 'A certificate cannot say who acts for its subject')
  if (gateways.has(spiffeId)) return pass(undefined)
  if (!selfServiceIssuers.has(token.issuerName))
    return refuse('client-not-allowed', {
      cause: `issuer ${token.issuerName} is not in selfService.issuers`,
    })
  const granted = findGrant({
    by: 'self',
    subject: spiffeId,
    token: 'x509-svid',
    audience: undefined,
    scopes: [],
  })
  if (granted.ok) return pass(granted.value)
  return problemOf(granted.error)
}
