import {
  parseSpiffeId,
  spiffePathOf,
  trustDomainOf,
  type SpiffeId,
  type TrustDomain,
} from '#contract/spiffe-id'
import { tokenTypes, type TokenType } from '#contract/token-exchange'
import type { Confirmation } from '#identity/jwt/confirmation'
import type { Asker } from '../clients/asker.ts'
import { actingNow, mayAct, readActors, type Act } from './delegation.ts'
import type { Allowed, FindGrant, GrantToken } from './grants.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import type { Party } from './party.ts'
import { refuseActor, refuseSubject, type HeldKeys, type PresentParts } from './presentable.ts'
import type { ExchangeRequest } from './request.ts'
import { isWithin, readScopes } from './scope.ts'
import { transactionOf, type Transaction } from './txn-token.ts'

/** Who asks for what, all of it verified. */
export type Question = {
  readonly request: ExchangeRequest
  readonly asker: Asker
  readonly subject: Party
  readonly actor: Party | undefined
  readonly keys: HeldKeys
}

/** What is to be minted. Times in whole seconds since 1970. */
export type Grant = {
  readonly kind: Exclude<GrantToken, 'x509-svid'>
  readonly subject: SpiffeId
  readonly audience: string
  readonly clientId: string
  readonly scopes: readonly string[]
  readonly act: Act | undefined
  /** SPIFFE ID or client id of who acts now, not of whom the subject token named already. */
  readonly actor: string | undefined
  readonly confirmation: Confirmation | undefined
  readonly transaction: Transaction | undefined
  /** How a legacy caller proved who it is, if it all began with one: it stays with every token that comes from it. */
  readonly provenance: string | undefined
  readonly issuedAtSeconds: number
  readonly expiresAtSeconds: number
  /** What allowed it: one of the configuration's grants, or undefined for a gateway, which needs none. */
  readonly allowedBy: Allowed | undefined
}

export type GrantPolicy = PresentParts & {
  readonly trustDomain: TrustDomain
  /** The exchange itself and the gateways: nobody becomes one of them by a token from outside. */
  readonly reserved: ReadonlySet<SpiffeId>
  /** Audiences besides the SPIFFE IDs of the trust domain, that gateways may ask for. */
  readonly audiences: ReadonlySet<string>
  readonly lifetimeSeconds: number
  readonly txnLifetimeSeconds: number
  readonly maxActors: number
  readonly findGrant: FindGrant
}

export const grantKindOf = (type: TokenType): Grant['kind'] => {
  switch (type) {
    case tokenTypes.jwt:
      return 'jwt-svid'
    case tokenTypes.accessToken:
      return 'access-token'
    case tokenTypes.txnToken:
      return 'txn-token'
    default:
      return type satisfies never
  }
}

/**
 * Who may become whom, for whom, for what and for how long. Pure: the same question has the same answer.
 *
 * What is minted never outlives the tokens that it came from, never has a scope that the subject token lacks if that has
 * any, and names every actor that it named.
 */
export const grant = (
  question: Question,
  policy: GrantPolicy,
  nowMs: number,
): OAuthResult<Grant> => {
  const { request, asker, subject, actor, keys } = question
  const kind = grantKindOf(request.requestedTokenType)
  const unfit =
    refuseIdentity(subject, policy) ??
    refuseSubject(request, asker, subject, keys, policy) ??
    (actor && (refuseIdentity(actor, policy) ?? refuseActor(asker, actor, policy)))
  if (unfit !== undefined) return unfit
  const allowed = allow(question, kind, policy)
  if (!allowed.ok) return allowed
  const { scopes, by } = allowed.value
  const acting = whoActs(question, by, policy)
  if (!acting.ok) return acting
  const confirmation = bind(kind, asker, keys)
  if (!confirmation.ok) return confirmation
  const transaction =
    kind === 'txn-token' ? transactionOf(request, asker, subject) : grantedAs(undefined)
  if (!transaction.ok) return transaction
  const times = timesOf(question, kind, policy, nowMs)
  if (!times.ok) return times
  return grantedAs({
    kind,
    subject: subject.spiffeId,
    audience: request.audience,
    clientId: asker.kind === 'self' ? subject.spiffeId : asker.id,
    scopes,
    ...acting.value,
    confirmation: confirmation.value,
    transaction: transaction.value,
    provenance: provenanceOf(subject),
    ...times.value,
    allowedBy: by,
  })
}

const provenanceOf = ({ own, token }: Party): string | undefined => {
  const { legacy } = token.claims
  return own !== undefined && typeof legacy === 'string' ? legacy : undefined
}

const refuseIdentity = ({ spiffeId, rule }: Party, { trustDomain, reserved }: GrantPolicy) => {
  const where = `rule ${rule ?? 'of none'} gives ${spiffeId}`
  if (trustDomainOf(spiffeId) !== trustDomain || spiffePathOf(spiffeId) === '')
    return notThis(`${where}, which is not of ${trustDomain}`)
  return reserved.has(spiffeId) ? notThis(`${where}, which is reserved`) : undefined
}

/** The target and the scopes, which must be allowed together. */
const allow = (
  { request, asker, subject }: Question,
  kind: Grant['kind'],
  policy: GrantPolicy,
): OAuthResult<{ readonly scopes: readonly string[]; readonly by: Allowed | undefined }> => {
  const { audience, scopes: asked } = request
  if (kind === 'txn-token' && audience !== policy.trustDomain)
    return target('the audience of a Txn-Token is the name of the trust domain', audience)
  if (kind === 'txn-token' && (asked === undefined || asked.length === 0))
    return scope('a Txn-Token needs a scope')
  const has = scopesOf(subject)
  if (has !== undefined && !isWithin(asked ?? [], has))
    return scope('the subject token does not have these scopes', asked)
  if (asker.kind === 'gateway') {
    if (kind !== 'txn-token' && !isAudienceAllowed(audience, policy))
      return target('tokens are not minted for this audience', audience)
    // A gateway hands on what the caller has; only a grant can give more than that.
    return has === undefined && asked !== undefined && asked.length > 0
      ? scope('the subject token has no scopes', asked)
      : grantedAs({ scopes: asked ?? [], by: undefined })
  }
  const granted = policy.findGrant({
    by: asker.id,
    subject: subject.spiffeId,
    token: kind,
    audience: kind === 'txn-token' ? undefined : audience,
    scopes: asked ?? [],
  })
  if (!granted.ok) return granted
  // draft-ietf-oauth-transaction-tokens, Unknown `subject_token` scope: unknown is not unconstrained.
  if (kind === 'txn-token' && has === undefined && asker.kind === 'client')
    return scope('the subject token does not say which scopes it has', asked)
  const kept = subject.own === undefined ? [] : (has ?? [])
  const scopes = asked ?? kept.filter((one) => granted.value.scopes.includes(one))
  return grantedAs({ scopes, by: granted.value })
}

/**
 * The scopes that a subject token has, in `scope` or, if it is from outside, in `scp`; of both what is in both. Undefined for
 * one from outside that speaks of none: then the grants alone say what may be had. A token of ours without any has none, and
 * a claim that is no list of scopes is none either.
 */
const scopesOf = ({ token, own }: Party): readonly string[] | undefined => {
  const { scope: claim, scp } = token.claims
  if (own !== undefined) return readScopes(claim ?? '') ?? []
  // The `scp` of Entra is a text as `scope` is (RFC 9068), and that of Okta a list.
  const said = [claim, Array.isArray(scp) ? scp.join(' ') : scp].filter((one) => one !== undefined)
  const [first, ...more] = said.map((one) => readScopes(one) ?? [])
  return first?.filter((one) => more.every((other) => other.includes(one)))
}

/** Who acts now, and all who acted before. `may_act` binds whoever asks, with and without an `actor_token`. */
const whoActs = (
  { asker, subject, actor }: Question,
  allowed: Allowed | undefined,
  { maxActors, issuer }: GrantPolicy,
): OAuthResult<Pick<Grant, 'act' | 'actor'>> => {
  const party = actor
    ? {
        spiffeId: actor.spiffeId,
        ...(actor.own === undefined
          ? { outside: { sub: actor.token.subject, iss: actor.token.issuer } }
          : {}),
      }
    : asker.kind === 'self'
      ? undefined
      : { spiffeId: asker.spiffeId, clientId: asker.id }
  const named = mayAct(subject.token.claims, party)
  if (named === false) return delegation('its may_act names somebody else')
  if (actor && named === undefined && !allowed?.mayAct(actor.spiffeId))
    return delegation('the actor may not act for this subject', actor.spiffeId)
  const before = readActors(
    subject.token.claims,
    subject.own === undefined ? { issuer: subject.token.issuer, ours: issuer } : undefined,
    maxActors,
  )
  if (!before.ok) return delegation(before.fault)
  const now = actor?.spiffeId ?? (named ? (party?.spiffeId ?? party?.clientId) : undefined)
  if (now === undefined) return grantedAs({ act: before.value, actor: undefined })
  const act = actingNow(now, before.value, maxActors)
  if (!act.ok) return delegation(act.fault)
  return grantedAs({ act: act.value, actor: now })
}

/** Only access tokens are bound: who takes the other kinds does not look at what they are bound to. */
const bind = (
  kind: Grant['kind'],
  asker: Asker,
  { jkt, thumbprint }: HeldKeys,
): OAuthResult<Confirmation | undefined> => {
  if (kind !== 'access-token')
    return jkt === undefined
      ? grantedAs(undefined)
      : oauthRefuse(
          'invalid_request',
          'exchange-request-invalid',
          'only an access token can be bound by DPoP',
        )
  if (jkt !== undefined) return grantedAs({ jkt })
  const bound = asker.kind === 'client' ? asker.bound : 'no'
  if (bound === 'dpop')
    return oauthRefuse(
      'invalid_dpop_proof',
      'dpop-proof-invalid',
      'this client gets access tokens with a DPoP proof alone',
    )
  if (bound === 'no') return grantedAs(undefined)
  return thumbprint === undefined
    ? oauthRefuse(
        'invalid_request',
        'exchange-request-invalid',
        'this client gets access tokens over a connection with its certificate alone',
      )
    : grantedAs({ 'x5t#S256': thumbprint })
}

const timesOf = (
  { subject, actor }: Question,
  kind: Grant['kind'],
  { lifetimeSeconds, txnLifetimeSeconds }: GrantPolicy,
  nowMs: number,
): OAuthResult<Pick<Grant, 'issuedAtSeconds' | 'expiresAtSeconds'>> => {
  const issuedAtSeconds = Math.floor(nowMs / 1000)
  const expiresAtSeconds = Math.min(
    issuedAtSeconds + (kind === 'txn-token' ? txnLifetimeSeconds : lifetimeSeconds),
    Math.floor(subject.token.expiresAtMs / 1000),
    Math.floor((actor?.token.expiresAtMs ?? Infinity) / 1000),
  )
  return expiresAtSeconds > issuedAtSeconds
    ? grantedAs({ issuedAtSeconds, expiresAtSeconds })
    : oauthRefuse(
        'invalid_request',
        'token-expires-too-soon',
        'subject_token: it has too little life left to be used',
      )
}

/** Whether gateways may have tokens for this audience. */
export const isAudienceAllowed = (
  audience: string,
  { audiences, trustDomain }: Pick<GrantPolicy, 'audiences' | 'trustDomain'>,
): boolean => {
  if (audiences.has(audience)) return true
  const id = parseSpiffeId(audience)
  return id.ok && trustDomainOf(id.value) === trustDomain && spiffePathOf(id.value) !== ''
}

const notThis = (cause: string) =>
  oauthRefuse(
    'invalid_request',
    'identity-unmapped',
    'subject_token: this caller has no identity here',
    { cause },
  )
const target = (description: string, cause: string) =>
  oauthRefuse('invalid_target', 'target-refused', description, { cause })
const scope = (description: string, scopes: readonly string[] = []) =>
  oauthRefuse('invalid_scope', 'scope-refused', description, { cause: scopes.join(' ') })
const delegation = (why: string, cause?: string) =>
  oauthRefuse(
    'invalid_request',
    'delegation-refused',
    `subject_token: ${why}`,
    cause === undefined ? {} : { cause },
  )
