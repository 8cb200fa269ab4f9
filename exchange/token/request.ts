import { tokenExchangeGrant, tokenTypes, type TokenType } from '#contract/token-exchange'
import { secret, type Secret } from '#contract/secret'
import { parseForm } from './form.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'

/** A request for an exchange, as far as its form can tell. */
export type ExchangeRequest = {
  readonly subjectToken: Secret<string>
  readonly audience: string
  readonly requestedTokenType: TokenType
  /** What the client calls itself, to be compared with who it is. */
  readonly clientId: string | undefined
}

/** Parameters of RFC 8693 §2.1, and `client_id`. What is not here could be a restriction: it is refused, not ignored. */
const known = new Set([
  'grant_type',
  'client_id',
  'subject_token',
  'subject_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope',
  'actor_token',
  'actor_token_type',
])
/** RFC 8693 §2.1 lets these come several times. */
const repeatable = new Set(['audience', 'resource'])

const maxTokenBytes = 16_384
const maxAudienceBytes = 2048

/**
 * Reads the form of a token exchange.
 *
 * @returns Refuses as RFC 8693 §2.2.2 says: never ignores what the client wanted to be restricted by.
 */
export const parseExchangeRequest = (body: Buffer): OAuthResult<ExchangeRequest> => {
  const form = parseForm(body)
  if (!form.ok) return invalid(`the form is not well-formed: ${form.problem.detail ?? ''}`)
  for (const [name, values] of form.value) {
    if (!known.has(name)) return invalid(`a parameter is not known here: ${inDescription(name)}`)
    if (values.length > 1 && !repeatable.has(name)) return invalid(`${name} came more than once`)
  }
  const all = (name: string) => (form.value.get(name) ?? []).filter((value) => value !== '')
  const one = (name: string) => all(name)[0]

  const grantType = one('grant_type')
  if (grantType === undefined) return invalid('grant_type is missing')
  if (grantType !== tokenExchangeGrant)
    return oauthRefuse(
      'unsupported_grant_type',
      'grant-unsupported',
      'only token exchange is offered',
    )

  const actor = refuseActor(one('actor_token'), one('actor_token_type'))
  if (actor !== undefined) return actor
  if (one('scope') !== undefined)
    return oauthRefuse('invalid_scope', 'scope-refused', 'no scope can be asked for')
  if (all('resource').length > 0)
    return invalidTarget('resource is not offered: name the target by audience')

  const subjectToken = one('subject_token')
  if (subjectToken === undefined) return invalid('subject_token is missing')
  if (subjectToken.length > maxTokenBytes) return invalid('subject_token is too long')
  const subjectTokenType = one('subject_token_type')
  if (subjectTokenType === undefined) return invalid('subject_token_type is missing')
  if (subjectTokenType !== tokenTypes.jwt)
    return invalid(`subject_token_type must be ${tokenTypes.jwt}`)

  const requestedTokenType = one('requested_token_type') ?? tokenTypes.accessToken
  if (!isTokenType(requestedTokenType))
    return invalid(`requested_token_type must be ${Object.values(tokenTypes).join(' or ')}`)

  const [audience, ...more] = all('audience')
  if (audience === undefined) return invalidTarget('audience is missing')
  if (more.length > 0) return invalidTarget('a token is minted for one audience')
  if (audience.length > maxAudienceBytes) return invalidTarget('audience is too long')
  return grantedAs({
    subjectToken: secret(subjectToken),
    audience,
    requestedTokenType,
    clientId: one('client_id'),
  })
}

/** RFC 8693 §2.1: the type must come with the token and must not come without it. */
const refuseActor = (actorToken: string | undefined, actorTokenType: string | undefined) => {
  if (actorToken === undefined && actorTokenType === undefined) return undefined
  if (actorToken === undefined) return invalid('actor_token_type came without actor_token')
  if (actorTokenType === undefined) return invalid('actor_token came without actor_token_type')
  return invalid('delegation is not offered: leave out actor_token')
}

const isTokenType = (text: string): text is TokenType =>
  (Object.values(tokenTypes) as readonly string[]).includes(text)

const invalid = (description: string) =>
  oauthRefuse('invalid_request', 'exchange-request-invalid', description)
const invalidTarget = (description: string) =>
  oauthRefuse('invalid_target', 'target-refused', description)

/** RFC 6749 §5.2 allows printable ASCII without `"` and `\`. */
const inDescription = (text: string) => text.slice(0, 40).replaceAll(/[^\w.:/-]/g, '?')
