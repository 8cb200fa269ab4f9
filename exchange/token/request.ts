import {
  awsCallerIdentityType,
  subjectIssuerParameter,
  tokenExchangeGrant,
  tokenTypes,
  type TokenType,
} from '#contract/token-exchange'
import { legacyCredentialType } from '#contract/legacy'
import { inOnePiece } from '#contract/in-one-piece'
import { secret, type Secret } from '#contract/secret'
import { parseStrictObject, type JsonObject } from '#identity/json-strict'
import { clientParameters } from '../clients/authenticate.ts'
import { parseForm, type Form } from './form.ts'
import { grantedAs, oauthRefuse, type OAuthResult } from './oauth-error.ts'
import { readScopes } from './scope.ts'

/** A request for an exchange, as far as its form can tell. */
export type ExchangeRequest = {
  readonly subjectToken: Secret<string>
  readonly subjectTokenType: SubjectTokenType
  /** The `iss` that it must have, if that was said. */
  readonly subjectIssuer: string | undefined
  readonly actorToken: Secret<string> | undefined
  /** The one target: `audience` or `resource`. */
  readonly audience: string
  readonly requestedTokenType: TokenType
  /** Undefined when none was asked for. */
  readonly scopes: readonly string[] | undefined
  /** For the `rctx` and the `tctx` of a Txn-Token. */
  readonly context: JsonObject | undefined
  readonly details: JsonObject | undefined
}

/** `jwt` is any token that we can check; the others are refused if the token is not what they say. */
export const subjectTokenTypes = {
  jwt: tokenTypes.jwt,
  idToken: 'urn:ietf:params:oauth:token-type:id_token',
  accessToken: tokenTypes.accessToken,
  txnToken: tokenTypes.txnToken,
  awsCallerIdentity: awsCallerIdentityType,
  legacyCredential: legacyCredentialType,
} as const
export type SubjectTokenType = (typeof subjectTokenTypes)[keyof typeof subjectTokenTypes]

const allTokenTypes: ReadonlySet<TokenType> = new Set(Object.values(tokenTypes))
const allSubjectTokenTypes: ReadonlySet<SubjectTokenType> = new Set(
  Object.values(subjectTokenTypes),
)

/** Parameters of RFC 8693 §2.1 and of Txn-Tokens. What is not here could be a restriction: it is refused, not ignored. */
export const exchangeParameters: ReadonlySet<string> = new Set([
  ...clientParameters,
  'grant_type',
  'subject_token',
  'subject_token_type',
  subjectIssuerParameter,
  'requested_token_type',
  'audience',
  'resource',
  'scope',
  'actor_token',
  'actor_token_type',
  'request_context',
  'request_details',
])
/** RFC 8693 §2.1 lets these come several times. */
const repeatable = new Set(['audience', 'resource'])

const maxTokenBytes = 16_384
const maxAudienceBytes = 2048
const maxContextBytes = 4096
const maxContextDepth = 8

/**
 * Reads the form of an endpoint.
 *
 * @returns Refuses with `invalid_request` a form that is not well-formed, and parameters that are not known or repeated.
 */
export const readForm = (
  body: Buffer,
  known: ReadonlySet<string>,
  /** At the token endpoint: what else is there depends on the grant. */
  grantTypes?: ReadonlySet<string>,
): OAuthResult<Form> => {
  const form = parseForm(body)
  if (!form.ok) return invalid(`the form is not well-formed: ${form.problem.detail ?? ''}`)
  let foreign: string | undefined
  for (const [name, values] of form.value) {
    if (values.length > 1 && !repeatable.has(name))
      return invalid(`${inDescription(name)} came more than once`)
    if (!known.has(name)) foreign ??= name
  }
  const grantType = form.value.get('grant_type')?.[0]
  if (grantTypes && grantType && !grantTypes.has(grantType))
    return oauthRefuse(
      'unsupported_grant_type',
      'grant-unsupported',
      'this grant is not offered here',
    )
  return foreign === undefined
    ? grantedAs(form.value)
    : invalid(`a parameter is not known here: ${inDescription(foreign)}`)
}

/**
 * Reads the form of a token exchange.
 *
 * @returns Refuses as RFC 8693 §2.2.2 says: never ignores what the client wanted to be restricted by.
 */
export const parseExchangeRequest = (form: Form): OAuthResult<ExchangeRequest> => {
  const all = (name: string) => (form.get(name) ?? []).filter((value) => value !== '')
  const one = (name: string) => form.get(name)?.find((value) => value !== '')

  const grantType = one('grant_type')
  if (grantType === undefined) return invalid('grant_type is missing')
  if (grantType !== tokenExchangeGrant)
    return oauthRefuse(
      'unsupported_grant_type',
      'grant-unsupported',
      'only token exchange is offered',
    )

  const subject = readToken('subject_token', one)
  if (!subject.ok) return subject
  if (subject.value === undefined) return invalid('subject_token is missing')
  const actor = readToken('actor_token', one)
  if (!actor.ok) return actor
  if (actor.value?.type === awsCallerIdentityType)
    return invalid('actor_token_type cannot be this one')
  if (subject.value.type === awsCallerIdentityType && one(subjectIssuerParameter) !== undefined)
    return invalid('subject_issuer does not go with this subject_token_type')

  const requestedTokenType = one('requested_token_type') ?? tokenTypes.accessToken
  if (!isOneOf(allTokenTypes, requestedTokenType))
    return invalid(`requested_token_type must be ${[...allTokenTypes].join(' or ')}`)
  const audience = readTarget(all('audience'), all('resource'))
  if (!audience.ok) return audience
  const scope = one('scope')
  const scopes = readScopes(scope)
  if (scope !== undefined && scopes === undefined)
    return oauthRefuse('invalid_scope', 'scope-refused', 'scope is not a list of scopes')

  const isTxn = requestedTokenType === tokenTypes.txnToken
  const [context, details] = [one('request_context'), one('request_details')].map((text) =>
    text === undefined ? grantedAs(undefined) : readContext(text, isTxn),
  )
  if (!context?.ok) return context ?? invalid('request_context')
  if (!details?.ok) return details ?? invalid('request_details')
  return grantedAs({
    subjectToken: subject.value.token,
    subjectTokenType: subject.value.type,
    subjectIssuer: one(subjectIssuerParameter),
    actorToken: actor.value?.token,
    audience: audience.value,
    requestedTokenType,
    scopes,
    context: context.value,
    details: details.value,
  })
}

/** RFC 8693 §2.1: the type must come with the token and must not come without it. */
const readToken = (
  name: 'subject_token' | 'actor_token',
  one: (name: string) => string | undefined,
): OAuthResult<{ readonly token: Secret<string>; readonly type: SubjectTokenType } | undefined> => {
  const token = one(name)
  const type = one(`${name}_type`)
  if (token === undefined)
    return type === undefined ? grantedAs(undefined) : invalid(`${name}_type came without ${name}`)
  if (type === undefined) return invalid(`${name}_type is missing`)
  if (token.length > maxTokenBytes) return invalid(`${name} is too long`)
  return isOneOf(allSubjectTokenTypes, type)
    ? grantedAs({ token: secret(token), type })
    : invalid(`${name}_type must be ${[...allSubjectTokenTypes].join(' or ')}`)
}

/** RFC 8693 §2.1: `audience` is a name, `resource` an absolute URI without a fragment. A token is minted for one of them. */
export const readTarget = (
  audiences: readonly string[],
  resources: readonly string[],
): OAuthResult<string> => {
  const [target, ...more] = [...audiences, ...resources]
  if (target === undefined) return invalidTarget('audience is missing')
  if (more.length > 0) return invalidTarget('a token is minted for one audience or resource')
  if (target.length > maxAudienceBytes) return invalidTarget('the target is too long')
  if (resources.length > 0 && (target.includes('#') || !URL.canParse(target)))
    return invalidTarget('resource is not an absolute URI without a fragment')
  // A copy, for the register keeps it: a part of a text has the whole in memory, and in this one there is a token.
  return grantedAs(inOnePiece(target, 'utf8'))
}

/** JSON objects as plain form values; of Txn-Tokens alone. */
const readContext = (text: string, isTxn: boolean): OAuthResult<JsonObject> => {
  if (!isTxn) return invalid('request_context and request_details are for Txn-Tokens')
  if (Buffer.byteLength(text) > maxContextBytes)
    return invalid('request_context or request_details is too long')
  const parsed = parseStrictObject(Buffer.from(text), maxContextDepth)
  return parsed.ok
    ? grantedAs(parsed.value)
    : invalid('request_context or request_details is not a JSON object')
}

const isOneOf = <T extends string>(types: ReadonlySet<T>, text: string): text is T =>
  (types as ReadonlySet<string>).has(text)

const invalid = (description: string) =>
  oauthRefuse('invalid_request', 'exchange-request-invalid', description)
const invalidTarget = (description: string) =>
  oauthRefuse('invalid_target', 'target-refused', description)

/** RFC 6749 §5.2 allows printable ASCII without `"` and `\`. */
const inDescription = (text: string) => text.slice(0, 40).replaceAll(/[^\w.:/-]/g, '?')
