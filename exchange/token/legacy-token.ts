import { tokenTypes } from '#contract/token-exchange'
import { authenticateLegacy, type LegacyParts } from '../legacy/authenticate.ts'
import type { LegacyIdentity } from '../legacy/registry.ts'
import type { Form } from './form.ts'
import { grantKindOf, type Grant, type GrantPolicy } from './grant.ts'
import { mintLegacy, type MintLegacyParts } from './mint-legacy.ts'
import { askedFacts, type Notes } from './notes.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import type { Exchanged, TokenQuestion } from './question.ts'
import { readTarget } from './request.ts'
import { readScopes } from './scope.ts'

export const clientCredentialsGrant = 'client_credentials'

export type LegacyTokenParts = MintLegacyParts & {
  readonly policy: Pick<GrantPolicy, 'findGrant'>
  readonly legacy: LegacyParts & {
    /** Host (with port) and path of the token endpoint as callers know it: what they sign. */
    readonly authority: string
    readonly path: string
  }
}

type Wish = Pick<Grant, 'kind' | 'audience' | 'scopes'>

const known = new Set([
  'grant_type',
  'client_id',
  'audience',
  'resource',
  'scope',
  'requested_token_type',
])

/**
 * A token for a caller that brings no token: an API key, a password, a signed request or a certificate of another CA. It
 * is marked by its SPIFFE ID and by the claim `legacy`, which says how the caller proved who it is.
 *
 * @see RFC 6749 §4.4
 */
export const legacyToken = async (
  question: TokenQuestion,
  form: Form,
  parts: LegacyTokenParts,
  nowMs: number,
  record: Notes,
): Promise<Exchanged> => {
  record.at('client')
  const { body } = question
  const { authority, path } = parts.legacy
  const credentials = {
    request: { method: 'POST', authority, path, query: '', headers: question.headers(), body },
    certificate: question.certificate(),
  }
  const proved = await authenticateLegacy(credentials, parts.legacy, nowMs)
  if (!proved.ok) return { kind: 'unknown', result: proved }
  const { name, spiffeId, method } = proved.value
  record.learn({ client: name, spiffeId })
  record.note(`by ${method}`)

  record.at('request')
  const wish = wishOf(form, proved.value, question)
  if (!wish.ok) return { kind: 'unknown', result: wish }
  const { kind, audience, scopes } = wish.value
  record.learn(askedFacts(kind, audience, scopes))
  const stop = (result: Exchanged['result']): Exchanged => ({ kind, result })

  record.at('grant')
  const allowed = parts.policy.findGrant({
    by: 'self',
    subject: spiffeId,
    token: kind,
    audience,
    scopes,
  })
  if (!allowed.ok) return stop(allowed)
  record.learn({ grant: allowed.value.name })

  return stop(
    await mintLegacy(
      question,
      {
        caller: proved.value,
        client: name,
        clientSpiffeId: undefined,
        grant: allowed.value,
        wish: wish.value,
        about: 'client',
      },
      parts,
      nowMs,
      record,
    ),
  )
}

const wishOf = (
  form: Form,
  { name }: LegacyIdentity,
  { dpop }: TokenQuestion,
): OAuthResult<Wish> => {
  const all = (parameter: string) => (form.get(parameter) ?? []).filter((value) => value !== '')
  const foreign = [...form.keys()].find((parameter) => !known.has(parameter))
  if (foreign !== undefined)
    return invalid(`${foreign} does not go with grant_type=${clientCredentialsGrant}`)
  if (dpop !== undefined) return invalid('such a token cannot be bound by DPoP')
  const [clientId] = all('client_id')
  if (clientId !== undefined && clientId !== name)
    return oauthRefuse(
      'invalid_client',
      'client-unauthenticated',
      'client_id is not that of the proof',
    )
  const [type = tokenTypes.accessToken] = all('requested_token_type')
  if (type !== tokenTypes.accessToken && type !== tokenTypes.jwt)
    return invalid(`requested_token_type must be ${tokenTypes.accessToken} or ${tokenTypes.jwt}`)
  const audience = readTarget(all('audience'), all('resource'))
  if (!audience.ok) return audience
  const [scope] = all('scope')
  const scopes = scope === undefined ? [] : readScopes(scope)
  return scopes === undefined
    ? oauthRefuse('invalid_scope', 'scope-refused', 'scope is not a list of scopes')
    : grantedAs({ kind: grantKindOf(type), audience: audience.value, scopes })
}

const invalid = (description: string) =>
  oauthRefuse('invalid_request', 'exchange-request-invalid', description)
