import { isoTime } from '#contract/clock'
import type { Result } from '#contract/problem'
import type { SpendOnce } from '#contract/replay'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Soon } from '#contract/step'
import { verifyDpop } from '#identity/jwt/dpop'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { Asker } from '../clients/asker.ts'
import { authenticateAsker, type AuthenticateParts } from '../clients/authenticate.ts'
import type { IssuedRegister } from '../issued/register.ts'
import type { MintKind } from '../mint-figures.ts'
import type { Peer } from '../peer.ts'
import type { ExchangeRecord } from '../record.ts'
import { decideExchange, type ExchangePolicy } from './decide.ts'
import { grant, grantKindOf, type GrantPolicy } from './grant.ts'
import { mint, type Minted, type MintParts } from './mint.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import {
  identifyParty,
  oauthRefusalOf,
  type CheckToken,
  type MapIdentity,
  type Party,
} from './party.ts'
import { exchangeParameters, parseExchangeRequest, readForm } from './request.ts'

/** Counts one question of a key. Refuses with `rate-exceeded`. */
export type TakeOne = (key: string) => Soon<Result<unknown>>

export type TokenExchangeParts = MintParts & {
  readonly authentication: AuthenticateParts
  readonly checkToken: CheckToken
  readonly mapIdentity: MapIdentity
  readonly policy: GrantPolicy
  readonly decide: ExchangePolicy
  readonly limits: { readonly client: TakeOne | undefined; readonly subject: TakeOne | undefined }
  readonly spendOnce: SpendOnce
  /** Issuers each of whose tokens can be used once by its bearer. */
  readonly oneTimeIssuers: ReadonlySet<string>
  readonly register: Pick<IssuedRegister, 'add'>
  /** URLs of the token endpoint, for DPoP proofs. */
  readonly tokenEndpoints: readonly string[]
}

/** A question at the token endpoint, before anything of it is known to be right. */
export type TokenQuestion = {
  readonly peer: Peer
  readonly authorization: string | undefined
  readonly dpop: string | undefined
  readonly body: Buffer
  readonly path: string
  readonly address: string
  readonly tlsVersion: string
}

export type Exchanged = {
  /** Of what was asked for. */
  readonly kind: MintKind
  readonly result: OAuthResult<Minted>
}

type Notes = Pick<ExchangeRecord, 'at' | 'learn'>

/** What is put into a record of a token's fingerprint: enough to find it again, not enough to be one. */
const fingerprintChars = 16

/**
 * One exchange, top to bottom. Each step is named before it is taken, so a refusal's record says where it stopped and has
 * all that was known by then.
 */
export const exchangeToken =
  (parts: TokenExchangeParts) =>
  async (question: TokenQuestion, nowMs: number, record: Notes): Promise<Exchanged> => {
    const { peer } = question
    let kind: MintKind = 'unknown'
    const stop = (refusal: OAuthResult<Minted>): Exchanged => ({ kind, result: refusal })

    record.at('request')
    const form = readForm(question.body, exchangeParameters)
    if (!form.ok) return stop(form)

    record.at('client')
    const { authorization } = question
    const credentials = { peer, authorization, form: form.value }
    const asker = await authenticateAsker(credentials, parts.authentication, nowMs)
    if (!asker.ok) return stop(asker)
    record.learn({ client: asker.value.id })
    const admitted = await take(
      asker.value.kind === 'client' ? parts.limits.client : undefined,
      asker.value.id,
    )
    if (!admitted.ok) return stop(admitted)

    record.at('request')
    const request = parseExchangeRequest(form.value)
    if (!request.ok) return stop(request)
    kind = grantKindOf(request.value.requestedTokenType)

    record.at('dpop')
    const jkt = await provenKey(question, parts, nowMs)
    if (!jkt.ok) return stop(jkt)

    const subject = await partyOf('subject_token', request.value.subjectToken, parts, nowMs, record)
    if (!subject.ok) return stop(subject)
    const { spiffeId, rule } = subject.value
    record.learn({ spiffeId, ...(rule === undefined ? {} : { mapping: rule }) })
    const { actorToken } = request.value
    const actor =
      actorToken === undefined
        ? grantedAs(undefined)
        : await partyOf('actor_token', actorToken, parts, nowMs, record)
    if (!actor.ok) return stop(actor)

    record.at('grant')
    const thumbprint = peer.kind === 'proven' ? peer.thumbprint : undefined
    const granted = grant(
      {
        request: request.value,
        asker: asker.value,
        subject: subject.value,
        actor: actor.value,
        keys: { jkt: jkt.value, thumbprint },
      },
      parts.policy,
      nowMs,
    )
    if (!granted.ok) return stop(granted)
    const { allowedBy, actor: acting } = granted.value
    record.learn({
      ...(allowedBy === undefined ? {} : { grant: allowedBy.name }),
      ...(acting === undefined ? {} : { actor: acting }),
    })

    record.at('subject limit')
    const inLimit = await take(parts.limits.subject, spiffeId)
    if (!inLimit.ok) return stop(inLimit)

    record.at('policy')
    const { decision, problem } = await decideExchange(
      parts.decide,
      {
        ...question,
        clientSpiffeId: peer.kind === 'proven' ? peer.spiffeId : undefined,
        subject: subject.value,
        grant: allowedBy,
        asked: {
          client: asker.value.id,
          tokenType: granted.value.kind,
          audience: granted.value.audience,
          scopes: granted.value.scopes,
          actor: acting ?? null,
        },
      },
      nowMs,
    )
    if (decision !== undefined) record.learn({ policy: decision })
    if (problem !== undefined) return stop(oauthRefusalOf(problem, 'subject_token'))

    record.at('replay')
    const spent = await spendSubject(asker.value, subject.value.token, parts)
    if (!spent.ok) return stop(spent)

    record.at('mint')
    const minted = mint(granted.value, parts, nowMs)
    if (!minted.ok) return stop(minted)
    noteMinted(minted.value, asker.value, subject.value, parts.register, record)
    return { kind, result: minted }
  }

/** A token checked and mapped, and in the record as far as it got. */
const partyOf = async (
  role: 'subject_token' | 'actor_token',
  token: Parameters<CheckToken>[0],
  { checkToken, mapIdentity }: TokenExchangeParts,
  nowMs: number,
  record: Notes,
): Promise<OAuthResult<Party>> => {
  record.at(role === 'subject_token' ? 'subject token' : 'actor token')
  const checked = await checkToken(token, role, nowMs)
  if (!checked.ok) return checked
  if (role === 'subject_token') {
    record.learn(factsOf(checked.value.token))
    record.at('identify')
  }
  return identifyParty(checked.value, mapIdentity, role)
}

/** What the record says of a token that something is asked with. */
export const factsOf = ({
  issuerName,
  subject,
  fingerprint,
  kid,
  jti,
  expiresAtMs,
}: VerifiedToken) => ({
  parent: fingerprint,
  caller: {
    issuer: issuerName,
    subject,
    tokenFingerprint: fingerprint.slice(0, fingerprintChars),
    kid,
    ...(jti === undefined ? {} : { jti }),
    expiresAt: isoTime(expiresAtMs),
  },
})

const provenKey = async (
  { dpop }: TokenQuestion,
  { tokenEndpoints, spendOnce }: TokenExchangeParts,
  nowMs: number,
): Promise<OAuthResult<string | undefined>> => {
  if (dpop === undefined) return grantedAs(undefined)
  const proven = await verifyDpop(dpop, { method: 'POST', urls: tokenEndpoints }, spendOnce, nowMs)
  if (proven.ok) return grantedAs(proven.value)
  const { tag, detail, cause } = proven.problem
  if (tag === 'replay-unavailable') return oauthRefusalOf(proven.problem, 'dpop')
  return oauthRefuse('invalid_dpop_proof', tag, 'the DPoP proof is not acceptable', {
    cause: cause ?? detail,
  })
}

const take = async (limit: TakeOne | undefined, key: string): Promise<OAuthResult<undefined>> => {
  const taken = limit && (await limit(key))
  if (taken === undefined || taken.ok) return grantedAs(undefined)
  const retryAfter = Number(taken.problem.headers?.['retry-after'] ?? 1)
  return oauthRefuse('temporarily_unavailable', taken.problem.tag, 'too many requests', {
    status: 429,
    retryAfterSeconds: retryAfter,
    cause: taken.problem.cause,
  })
}

/** After all else, so that a request that was refused has spent nothing. */
const spendSubject = async (
  asker: Asker,
  { issuerName, fingerprint, expiresAtMs }: VerifiedToken,
  { oneTimeIssuers, spendOnce }: Pick<TokenExchangeParts, 'oneTimeIssuers' | 'spendOnce'>,
): Promise<OAuthResult<undefined>> => {
  if (asker.kind !== 'self' || !oneTimeIssuers.has(issuerName)) return grantedAs(undefined)
  const spent = await spendOnce('subject-token', fingerprint, expiresAtMs + maxSkewMs)
  return spent.ok ? grantedAs(undefined) : oauthRefusalOf(spent.problem, 'subject_token')
}

/** The most that an issuer's `skewSeconds` can grant. */
const maxSkewMs = 120_000

const noteMinted = (
  minted: Minted,
  asker: Asker,
  subject: Party,
  register: TokenExchangeParts['register'],
  record: Notes,
): void => {
  const { kind, tokenType, subject: sub, audience, scopes, txn, jti, kid } = minted
  const { issuedAtSeconds, expiresAtSeconds, fingerprint } = minted
  const expiresAtMs = expiresAtSeconds * 1000
  record.learn({
    minted: {
      tokenType,
      subject: sub,
      audience,
      ...(scopes.length === 0 ? {} : { scope: scopes.join(' ') }),
      ...(txn === undefined ? {} : { txn }),
      jti,
      kid,
      expiresAt: isoTime(expiresAtMs),
      fromCache: false,
    },
  })
  register.add({
    id: jti,
    kind,
    subject: sub satisfies SpiffeId,
    client: asker.id,
    audience,
    kid,
    issuedAtMs: issuedAtSeconds * 1000,
    expiresAtMs,
    parent: subject.token.fingerprint,
    fingerprint,
  })
}
