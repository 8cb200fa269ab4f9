import type { SpendOnce } from '#contract/replay'
import type { Secret } from '#contract/secret'
import type { Soon } from '#contract/step'
import { awsCallerIdentityType, tokenExchangeGrant } from '#contract/token-exchange'
import { verifyDpop } from '#identity/jwt/dpop'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import { awsIssuerName, type CheckAwsCaller } from '../aws/callers.ts'
import type { Asker } from '../clients/asker.ts'
import { authenticateAsker, type AuthenticateParts } from '../clients/authenticate.ts'
import type { IssuedRegister } from '../issued/register.ts'
import type { MintKind } from '../mint-figures.ts'
import { admit, type AdmitParts } from './admit.ts'
import { grant, grantKindOf, type GrantPolicy } from './grant.ts'
import { clientCredentialsGrant, legacyToken, type LegacyTokenParts } from './legacy-token.ts'
import { legacyOnBehalf, type LegacyAtGateways } from './legacy-on-behalf.ts'
import { takeOne, type TakeOne } from './limit.ts'
import { mint, type Minted, type MintParts } from './mint.ts'
import { askedFacts, factsOf, mappedFacts, noteMinted, type Notes } from './notes.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import {
  identifyParty,
  oauthRefusalOf,
  type CheckToken,
  type MapIdentity,
  type Party,
} from './party.ts'
import type { Exchanged, TokenQuestion } from './question.ts'
import { exchangeParameters, parseExchangeRequest, readForm, subjectTokenTypes } from './request.ts'

export type TokenExchangeParts = MintParts &
  AdmitParts & {
    readonly authentication: AuthenticateParts
    readonly checkToken: CheckToken
    readonly mapIdentity: MapIdentity
    readonly policy: GrantPolicy
    readonly limits: AdmitParts['limits'] & { readonly client: TakeOne | undefined }
    readonly spendOnce: SpendOnce
    /** Issuers each of whose tokens can be used once by its bearer. */
    readonly oneTimeIssuers: ReadonlySet<string>
    readonly register: Pick<IssuedRegister, 'add'>
    /** URLs of the token endpoint, for DPoP proofs. */
    readonly tokenEndpoints: readonly string[]
    /** Undefined where no caller of AWS is known. */
    readonly checkAwsCaller: CheckAwsCaller | undefined
    /** Undefined where no legacy caller is known. */
    readonly legacy: (LegacyTokenParts['legacy'] & LegacyAtGateways) | undefined
  }

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
    const { legacy } = parts
    const grantTypes = legacy === undefined ? exchangeAlone : exchangeAndLegacy
    const form = readForm(question.body, exchangeParameters, grantTypes)
    if (!form.ok) return stop(form)
    if (legacy !== undefined && form.value.get('grant_type')?.[0] === clientCredentialsGrant)
      return legacyToken(question, form.value, { ...parts, legacy }, nowMs, record)

    record.at('client')
    const { authorization } = question
    const credentials = { peer, authorization, form: form.value }
    const asker = await authenticateAsker(credentials, parts.authentication, nowMs)
    if (!asker.ok) return stop(asker)
    record.learn({ client: asker.value.id })
    const admitted = await takeOne(
      asker.value.kind === 'client' ? parts.limits.client : undefined,
      asker.value.id,
    )
    if (!admitted.ok) return stop(admitted)

    record.at('request')
    const request = parseExchangeRequest(form.value)
    if (!request.ok) return stop(request)
    const { requestedTokenType, audience, scopes } = request.value
    kind = grantKindOf(requestedTokenType)
    record.learn(askedFacts(kind, audience, scopes))
    if (request.value.subjectTokenType === subjectTokenTypes.legacyCredential)
      return legacyOnBehalf(question, request.value, asker.value, parts, nowMs, record)

    record.at('dpop')
    const jkt = await provenKey(question, parts, nowMs)
    if (!jkt.ok) return stop(jkt)

    const { subjectToken, subjectTokenType, subjectIssuer } = request.value
    const about = { role: 'subject_token', issuer: subjectIssuer } as const
    const subject =
      subjectTokenType === awsCallerIdentityType
        ? await awsCallerOf(subjectToken, asker.value, parts, nowMs, record)
        : await partyOf(about, subjectToken, parts, nowMs, record)
    if (!subject.ok) return stop(subject)
    record.learn(mappedFacts(subject.value))
    const { actorToken } = request.value
    const actor =
      actorToken === undefined
        ? grantedAs(undefined)
        : await partyOf({ role: 'actor_token' }, actorToken, parts, nowMs, record)
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

    const mayHave = await admit(
      parts,
      {
        path: question.path,
        address: question.address,
        tlsVersion: question.tlsVersion,
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
      record,
      'subject_token',
    )
    if (!mayHave.ok) return stop(mayHave)

    record.at('replay')
    const spent = await spendSubject(asker.value, subject.value.token, parts)
    if (!spent.ok) return stop(spent)

    record.at('mint')
    const minted = mint(granted.value, parts, nowMs)
    if (!minted.ok) return stop(minted)
    const parent = subject.value.token.fingerprint
    return stop(await noteMinted(minted.value, asker.value.id, parent, parts.register, record))
  }

const exchangeAlone: ReadonlySet<string> = new Set([tokenExchangeGrant])
const exchangeAndLegacy: ReadonlySet<string> = new Set([tokenExchangeGrant, clientCredentialsGrant])

/** A request signed by its sender speaks for that sender alone, and for who brings nothing else. */
const awsCallerOf = async (
  request: Secret<string>,
  asker: Asker,
  { checkAwsCaller }: TokenExchangeParts,
  nowMs: number,
  record: Notes,
): Promise<OAuthResult<Party>> => {
  record.at('subject token')
  if (checkAwsCaller === undefined || asker.kind !== 'self')
    return oauthRefuse(
      'invalid_request',
      'token-type-refused',
      'subject_token_type: requests to AWS are not taken here',
    )
  const checked = await checkAwsCaller(request, nowMs)
  if (!checked.ok) return checked
  const { token, found } = checked.value
  record.learn(factsOf(token))
  return grantedAs({ token, ...found, own: undefined })
}

/** A token checked and mapped, and in the record as far as it got. */
const partyOf = async (
  {
    role,
    issuer,
  }: {
    readonly role: 'subject_token' | 'actor_token'
    readonly issuer?: string | undefined
  },
  token: Parameters<CheckToken>[0],
  { checkToken, mapIdentity }: TokenExchangeParts,
  nowMs: number,
  record: Notes,
): Promise<OAuthResult<Party>> => {
  record.at(role === 'subject_token' ? 'subject token' : 'actor token')
  const checked = await checkToken(token, role, nowMs, issuer)
  if (!checked.ok) return checked
  if (role === 'subject_token') {
    record.learn(factsOf(checked.value.token))
    record.at('identify')
  }
  return identifyParty(checked.value, mapIdentity, role)
}

const provenKey = (
  { dpop }: TokenQuestion,
  parts: TokenExchangeParts,
  nowMs: number,
): Soon<OAuthResult<string | undefined>> =>
  dpop === undefined ? grantedAs(undefined) : keyOfProof(dpop, parts, nowMs)

const keyOfProof = async (
  dpop: string,
  { tokenEndpoints, spendOnce }: TokenExchangeParts,
  nowMs: number,
): Promise<OAuthResult<string>> => {
  const proven = await verifyDpop(dpop, { method: 'POST', urls: tokenEndpoints }, spendOnce, nowMs)
  if (proven.ok) return grantedAs(proven.value)
  const { tag, detail, cause } = proven.problem
  if (tag === 'replay-unavailable') return oauthRefusalOf(proven.problem, 'dpop')
  return oauthRefuse('invalid_dpop_proof', tag, 'the DPoP proof is not acceptable', {
    cause: cause ?? detail,
  })
}

/** After all else, so that a request that was refused has spent nothing. */
const spendSubject = (
  asker: Asker,
  token: VerifiedToken,
  { oneTimeIssuers, spendOnce }: Pick<TokenExchangeParts, 'oneTimeIssuers' | 'spendOnce'>,
): Soon<OAuthResult<undefined>> => {
  const isGoodOnce = oneTimeIssuers.has(token.issuerName) || token.issuerName === awsIssuerName
  return asker.kind === 'self' && isGoodOnce ? spend(token, spendOnce) : grantedAs(undefined)
}

const spend = async (
  { fingerprint, expiresAtMs }: VerifiedToken,
  spendOnce: SpendOnce,
): Promise<OAuthResult<undefined>> => {
  const spent = await spendOnce('subject-token', fingerprint, expiresAtMs + maxSkewMs)
  return spent.ok ? grantedAs(undefined) : oauthRefusalOf(spent.problem, 'subject_token')
}

/** The most that an issuer's `skewSeconds` can grant. */
const maxSkewMs = 120_000
