import { trustDomainOf } from '#contract/spiffe-id'
import { tokenTypes } from '#contract/token-exchange'
import { confirmationOf } from '#identity/jwt/confirmation'
import type { Asker } from '../clients/asker.ts'
import { oauthRefuse, type OAuthRefusal } from './oauth-error.ts'
import type { Party } from './party.ts'
import { subjectTokenTypes, type ExchangeRequest } from './request.ts'

/** Keys that the request proved to hold: of its DPoP proof, of the certificate of its connection. */
export type HeldKeys = { readonly jkt: string | undefined; readonly thumbprint: string | undefined }

export type PresentParts = {
  /** Issuers whose tokens are enough for who brings nothing else. */
  readonly selfServiceIssuers: ReadonlySet<string>
  /** Our own identifier: whom an actor's token may be for. */
  readonly issuer: string
}

/**
 * Whether this asker may come with this subject token. A token of ours is exchanged by whom it is for and by whom it was
 * given to, a bound one by who holds its key, and a Txn-Token for another Txn-Token alone: it is no credential.
 *
 * @returns The refusal, or undefined.
 */
export const refuseSubject = (
  { subjectTokenType, requestedTokenType }: ExchangeRequest,
  asker: Asker,
  subject: Party,
  keys: HeldKeys,
  { selfServiceIssuers }: PresentParts,
): OAuthRefusal | undefined => {
  if (!isOfType(subject, subjectTokenType))
    return refused('token-type-refused', 'it is not of its subject_token_type')
  if (asker.kind === 'self') {
    if (subject.own !== undefined || !selfServiceIssuers.has(subject.token.issuerName))
      return oauthRefuse(
        'invalid_client',
        'client-unauthenticated',
        'the client must prove who it is: such a token does not speak for its bearer',
        { cause: `issuer ${subject.token.issuerName} is not in selfService.issuers` },
      )
    if (asker.claimed !== undefined && asker.claimed !== subject.spiffeId)
      return oauthRefuse(
        'invalid_client',
        'client-unauthenticated',
        'client_id is not the identity of the subject token',
      )
  }
  if (subject.own === undefined)
    // A gateway has seen that its caller holds it.
    return asker.kind === 'gateway' || holdsKeyOf(subject, keys) ? undefined : notHeld()
  if (asker.kind === 'self') return undefined
  if (subject.own === 'txn-token' && requestedTokenType !== tokenTypes.txnToken)
    return refused('token-type-refused', 'a Txn-Token can be exchanged for a Txn-Token alone')
  // A Txn-Token is for the whole trust domain: whoever of it got one may ask for another.
  if (subject.own === 'txn-token' ? !isForDomainOf(asker, subject) : !isMeantFor(asker, subject))
    return refused('token-audience-wrong', 'it is meant for another')
  return holdsKeyOf(subject, keys) ? undefined : notHeld()
}

/**
 * Whether a token may say who acts. It is one that stands for its bearer alone: for us or for the asker, bound to no key
 * that nobody proved, and without actors of its own, who would be lost.
 *
 * @returns The refusal, or undefined.
 */
export const refuseActor = (
  asker: Asker,
  actor: Party,
  { issuer }: PresentParts,
): OAuthRefusal | undefined => {
  if (asker.kind === 'self') return unfitActor('who brings nothing else acts for nobody')
  const { claims, audiences } = actor.token
  if (claims['act'] !== undefined) return unfitActor('someone acts for the actor')
  if (confirmationOf(actor.token) !== undefined) return unfitActor('it is bound to a key')
  if (actor.own === undefined) return undefined
  if (actor.own === 'txn-token') return unfitActor('a Txn-Token does not authenticate')
  return audiences.includes(issuer) || isMeantFor(asker, actor)
    ? undefined
    : unfitActor('it is meant for another')
}

const isOfType = ({ own }: Party, type: ExchangeRequest['subjectTokenType']): boolean => {
  switch (type) {
    case subjectTokenTypes.jwt:
      return own !== 'txn-token'
    case subjectTokenTypes.accessToken:
      return own === undefined || own === 'access-token'
    case subjectTokenTypes.idToken:
      return own === undefined
    case subjectTokenTypes.txnToken:
      return own === 'txn-token'
    case subjectTokenTypes.awsCallerIdentity:
      return own === undefined
    case subjectTokenTypes.legacyCredential:
      return false // it is no token at all: `legacy-on-behalf.ts`
    default:
      return type satisfies never
  }
}

/** The audience of a Txn-Token is our trust domain; a client may be of another. */
export const isForDomainOf = (
  { spiffeId }: Pick<Exclude<Asker, { kind: 'self' }>, 'spiffeId'>,
  { token }: Pick<Party, 'token'>,
): boolean => spiffeId !== undefined && token.audiences.includes(trustDomainOf(spiffeId))

const isMeantFor = (asker: Exclude<Asker, { kind: 'self' }>, { token }: Party): boolean =>
  token.audiences.some(
    (audience) =>
      audience === asker.spiffeId || (asker.kind === 'client' && asker.receives.has(audience)),
  ) || token.claims['client_id'] === asker.id

const holdsKeyOf = ({ token }: Party, { jkt, thumbprint }: HeldKeys): boolean => {
  const bound = confirmationOf(token)
  if (bound === undefined) return true
  return 'jkt' in bound ? bound.jkt === jkt : bound['x5t#S256'] === thumbprint
}

const notHeld = () =>
  refused('token-claim-invalid', 'it is bound to a key that this request does not prove to hold')

const refused = (
  tag: 'token-type-refused' | 'token-audience-wrong' | 'token-claim-invalid',
  why: string,
) => oauthRefuse('invalid_request', tag, `subject_token: ${why}`)

const unfitActor = (why: string) =>
  oauthRefuse('invalid_request', 'delegation-refused', `actor_token: ${why}`)
