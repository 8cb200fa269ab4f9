import type { LegacyMethod } from '#contract/legacy'
import type { Asker } from '../clients/asker.ts'
import { authenticateLegacy, type LegacyParts } from '../legacy/authenticate.ts'
import { credentialsIn, readEvidence } from '../legacy/evidence.ts'
import { grantKindOf, isAudienceAllowed, type GrantPolicy } from './grant.ts'
import { mintLegacy, type MintLegacyParts } from './mint-legacy.ts'
import type { Notes } from './notes.ts'
import { oauthRefuse, type OAuthError, type OAuthRefusal } from './oauth-error.ts'
import type { Exchanged, TokenQuestion } from './question.ts'
import type { ExchangeRequest } from './request.ts'

export type LegacyOnBehalfParts = Omit<MintLegacyParts, 'legacy'> & {
  readonly policy: Pick<GrantPolicy, 'audiences' | 'trustDomain'>
  /** Undefined where no legacy caller is known. */
  readonly legacy: LegacyAtGateways | undefined
}

export type LegacyAtGateways = LegacyParts & {
  readonly lifetimeSeconds: number
  /** By which credentials gateways may ask for others. */
  readonly atGateways: ReadonlySet<LegacyMethod>
}

/**
 * A token that a gateway asks for, for a caller that showed it an API key, a password, a signed request or a certificate.
 * Only here is known whose that is, and how often it was wrong. As `legacyToken`, except that no grant is needed: a gateway
 * may ask for any audience that it may have tokens for, and its own policy decides.
 *
 * @returns Refuses with the problem `credential-refused` for what is no credential of anybody, which tells the gateway to
 *   tell its caller.
 */
export const legacyOnBehalf = async (
  question: TokenQuestion,
  request: ExchangeRequest,
  asker: Asker,
  parts: LegacyOnBehalfParts,
  nowMs: number,
  record: Notes,
): Promise<Exchanged> => {
  const { audience, requestedTokenType, scopes } = request
  const kind = grantKindOf(requestedTokenType)
  const stop = (result: Exchanged['result']): Exchanged => ({ kind, result })
  const { legacy } = parts

  record.at('subject token')
  const evidence = readEvidence(request.subjectToken.reveal())
  if (!evidence.ok)
    return stop(invalid('subject_token: it is no evidence of a credential', evidence.fault))
  const { method } = evidence.value
  if (asker.kind !== 'gateway' || !legacy?.atGateways.has(method))
    return stop(
      oauthRefuse(
        'unauthorized_client',
        'client-not-allowed',
        'this client may not ask for callers with such a credential',
        { cause: `${method} is not in legacy.atGateways, or no gateway asks` },
      ),
    )
  if (kind === 'txn-token' || request.actorToken || scopes || question.dpop !== undefined)
    return stop(invalid('such a token has no actor, no scope and is bound to nothing'))
  const credentials = credentialsIn(evidence.value)
  if (!credentials.ok) return stop(refused({ cause: credentials.fault }))
  const proved = await authenticateLegacy(credentials.value, legacy, nowMs)
  if (!proved.ok) return stop(forGateway(proved))
  const { name, spiffeId } = proved.value
  record.learn({ client: name, spiffeId })
  record.note(`by ${method}, at ${asker.id}`)

  record.at('grant')
  if (!isAudienceAllowed(audience, parts.policy))
    return stop(
      oauthRefuse('invalid_target', 'target-refused', 'tokens are not minted for this audience', {
        cause: audience,
      }),
    )
  return stop(
    await mintLegacy(
      question,
      {
        caller: proved.value,
        client: asker.id,
        clientSpiffeId: asker.spiffeId,
        grant: undefined,
        wish: { kind, audience, scopes: [] },
        about: 'subject_token',
      },
      { ...parts, legacy },
      nowMs,
      record,
    ),
  )
}

/** The gateway itself has proved who it is: not it, but its caller is told 401. */
const forGateway = ({ error }: OAuthRefusal): OAuthRefusal =>
  error.code === 'invalid_client' && error.problem === 'client-unauthenticated'
    ? refused(error)
    : error.code === 'invalid_client'
      ? { ok: false, error: { ...error, code: 'invalid_request' } }
      : { ok: false, error }

const refused = ({ cause }: Pick<OAuthError, 'cause'>): OAuthRefusal =>
  oauthRefuse(
    'invalid_request',
    'credential-refused',
    'subject_token: the credential is not acceptable',
    { cause },
  )

const invalid = (description: string, cause?: string): OAuthRefusal =>
  oauthRefuse(
    'invalid_request',
    'exchange-request-invalid',
    description,
    cause === undefined ? {} : { cause },
  )
