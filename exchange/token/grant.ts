import {
  parseSpiffeId,
  spiffePathOf,
  trustDomainOf,
  type SpiffeId,
  type TrustDomain,
} from '#contract/spiffe-id'
import type { TokenType } from '#contract/token-exchange'
import type { ExchangeRequest } from './request.ts'
import type { Peer } from '../peer.ts'
import type { Subject } from './subject-token.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'

/** What is to be minted. Times in whole seconds since 1970. */
export type Grant = {
  readonly tokenType: TokenType
  readonly subject: SpiffeId
  readonly audience: string
  readonly clientId: SpiffeId
  readonly issuedAtSeconds: number
  readonly expiresAtSeconds: number
}

export type GrantPolicy = {
  readonly trustDomain: TrustDomain
  /** Who may ask on behalf of others. */
  readonly gateways: ReadonlySet<SpiffeId>
  /** The exchange itself and the gateways: nobody becomes one of them by a token from outside. */
  readonly reserved: ReadonlySet<SpiffeId>
  /** Audiences besides the SPIFFE IDs of the trust domain. */
  readonly audiences: ReadonlySet<string>
  readonly lifetimeSeconds: number
}

/** Who may ask at all: a gateway that has proven to be one by its certificate. */
export const authenticateClient = (
  peer: Peer,
  gateways: ReadonlySet<SpiffeId>,
): OAuthResult<SpiffeId> => {
  if (peer.kind !== 'proven')
    return oauthRefuse(
      'invalid_client',
      'client-unauthenticated',
      'a client certificate of the mesh is required',
      peer.kind === 'refused' ? { cause: peer.fault } : {},
    )
  if (!gateways.has(peer.spiffeId))
    return oauthRefuse(
      'unauthorized_client',
      'client-not-allowed',
      'this client may not ask for identities of others',
      { cause: peer.spiffeId },
    )
  return grantedAs(peer.spiffeId)
}

/**
 * Who may become whom, for whom, and for how long. Pure: the same question has the same answer.
 *
 * What is minted never outlives the token that it came from.
 */
export const grant = (
  request: ExchangeRequest,
  client: SpiffeId,
  subject: Subject,
  policy: GrantPolicy,
  nowMs: number,
): OAuthResult<Grant> => {
  if (request.clientId !== undefined && request.clientId !== client)
    return oauthRefuse(
      'invalid_client',
      'client-unauthenticated',
      'client_id is not the SPIFFE ID of the certificate',
    )
  const { spiffeId } = subject
  if (trustDomainOf(spiffeId) !== policy.trustDomain || spiffePathOf(spiffeId) === '')
    return notThis(`rule ${subject.rule} gives ${spiffeId}, which is not of ${policy.trustDomain}`)
  if (policy.reserved.has(spiffeId))
    return notThis(`rule ${subject.rule} gives ${spiffeId}, which is reserved`)
  if (!isAudienceAllowed(request.audience, policy))
    return oauthRefuse(
      'invalid_target',
      'target-refused',
      'tokens are not minted for this audience',
      { cause: request.audience },
    )

  const issuedAtSeconds = Math.floor(nowMs / 1000)
  const expiresAtSeconds = Math.min(
    issuedAtSeconds + policy.lifetimeSeconds,
    Math.floor(subject.token.expiresAtMs / 1000),
  )
  if (expiresAtSeconds <= issuedAtSeconds)
    return oauthRefuse(
      'invalid_request',
      'token-expires-too-soon',
      'subject_token: it has too little life left to be used',
    )
  return grantedAs({
    tokenType: request.requestedTokenType,
    subject: spiffeId,
    audience: request.audience,
    clientId: client,
    issuedAtSeconds,
    expiresAtSeconds,
  })
}

const isAudienceAllowed = (audience: string, { audiences, trustDomain }: GrantPolicy): boolean => {
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
