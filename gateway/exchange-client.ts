import { legacyCredentialType } from '#contract/legacy'
import { pass, refuse, type Result } from '#contract/problem'
import { secret } from '#contract/secret'
import { parseSpiffeId } from '#contract/spiffe-id'
import {
  subjectIssuerParameter,
  tokenExchangeGrant,
  tokenTypes,
  type MintedToken,
  type MintRequest,
} from '#contract/token-exchange'
import { askTogether } from './ask-together.ts'
import { parseObject } from './parse-object.ts'
import type { Batch, Told } from './token-batch.ts'

/** After a failure to reach the exchange nobody tries for so long: a dead exchange must not hold every request up. */
const restMs = 500

/**
 * Asks the exchange to mint a token for a caller.
 *
 * @returns A function that refuses with `identity-unavailable` when the exchange cannot be reached or fails, and with
 *   `identity-unmapped` when it refuses this caller.
 * @see RFC 8693 §2.1
 */
export const exchangeClient = (options: Batch) => {
  let restUntil = 0
  const kidOf = kidOfHeaders()
  const ask = askTogether(options)
  return async (request: MintRequest): Promise<Result<MintedToken>> => {
    if (performance.now() < restUntil) return unavailable('the exchange failed a moment ago')
    const traceparent = request.traceParent?.()
    const told = await ask({
      form: formOf(request),
      request_id: request.decisionId,
      ...(traceparent === undefined ? {} : { traceparent }),
    })
    if (isDown(told)) restUntil = performance.now() + restMs
    return readTold(told, request, kidOf)
  }
}

/** What is not to be had for the callers of one issuer only, or for what is good once, is no reason to ask for nobody. */
const onlyForSome: readonly unknown[] = [
  'issuer-unavailable',
  'introspection-unavailable',
  'replay-unavailable',
]

const isDown = (told: Told): boolean =>
  'fault' in told || (told.status >= 500 && !onlyForSome.includes(told.body['problem']))

const formOf = ({
  subjectToken,
  subjectTokenType = tokenTypes.jwt,
  subjectIssuer,
  audience,
  requestedTokenType,
}: MintRequest): string => {
  const issuer =
    subjectIssuer === undefined ? '' : `&${subjectIssuerParameter}=${inForm(subjectIssuer)}`
  return `${grant}&subject_token_type=${inForm(subjectTokenType)}&subject_token=${inForm(subjectToken.reveal())}${issuer}&requested_token_type=${inForm(requestedTokenType)}&audience=${inForm(audience)}`
}

/** Put together by hand: `URLSearchParams` looks at each byte of a token that has nothing to encode. */
const inForm = (text: string): string => (plain.test(text) ? text : encodeURIComponent(text))
const plain = /^[\w.~:/-]*$/
const grant = `grant_type=${tokenExchangeGrant}`

const readTold = (told: Told, request: MintRequest, kidOf: KidOf): Result<MintedToken> => {
  if ('fault' in told) return unavailable(told.fault.cause)
  const { status, body, isOfAll } = told
  if (status !== 200) {
    const passedOn = forCaller(told, request)
    if (passedOn) return passedOn
    const error = typeof body['error'] === 'string' ? body['error'] : 'no error code'
    const said = `the exchange answered ${status}, ${error.slice(0, 64)}`
    // An older one does not know the question (404), one may not know us: neither says anything of the caller.
    return isOfAll || status >= 500 || status === 429 || status === 401
      ? unavailable(said)
      : refuse('identity-unmapped', { cause: said })
  }
  const token = body['access_token']
  const type = body['issued_token_type']
  if (typeof token !== 'string' || type !== request.requestedTokenType)
    return unavailable('the exchange answered with another kind of token')
  return readMinted(token, request, kidOf)
}

/** What the exchange found wrong with a credential that a caller showed here is told to that caller. */
const forCaller = (
  { status, body, retry_after }: Exclude<Told, { fault: unknown }>,
  { subjectTokenType }: MintRequest,
): Result<never> | undefined => {
  if (subjectTokenType !== legacyCredentialType) return undefined
  const tag = forCallers.find((one) => one === body['problem'])
  if (tag === undefined) return undefined
  return refuse(tag, {
    cause: `the exchange answered ${status}`,
    ...(retry_after === undefined ? {} : { headers: { 'Retry-After': String(retry_after) } }),
  })
}

const forCallers = [
  'credential-refused',
  'token-replayed',
  'replay-unavailable',
  'rate-exceeded',
] as const

/**
 * Reads what was minted. It came from the exchange itself over mTLS, so its signature is not checked here; the upstream
 * checks it. What we depend on is checked: whom and what it is for, and when it ends.
 */
const readMinted = (token: string, request: MintRequest, kidOf: KidOf): Result<MintedToken> => {
  const [header = '', payloadText = ''] = token.split('.', 2)
  const kid = kidOf(header)
  const payload = parsePart(payloadText)
  const { sub, aud, exp, iat, jti } = payload ?? {}
  const subject = typeof sub === 'string' ? parseSpiffeId(sub) : undefined
  if (
    !subject?.ok ||
    (Array.isArray(aud)
      ? aud.length !== 1 || aud[0] !== request.audience
      : aud !== request.audience) ||
    typeof exp !== 'number' ||
    typeof iat !== 'number' ||
    typeof jti !== 'string' ||
    kid === undefined
  )
    return unavailable('the exchange answered with a token that is not what was asked for')
  return pass({
    token: secret(token),
    tokenType: request.requestedTokenType,
    subject: subject.value,
    audience: request.audience,
    jti,
    kid,
    issuedAtMs: iat * 1000,
    expiresAtMs: exp * 1000,
  })
}

type KidOf = (header: string) => string | undefined

/** All that is minted by one key has one header: the last one that was read is not read again. */
const kidOfHeaders = (): KidOf => {
  let last = ''
  let kid: string | undefined
  return (header) => {
    if (header !== last) {
      const said = parsePart(header)?.['kid']
      // A copy: a part of a text keeps the whole of it in memory, and that is a token.
      last = Buffer.from(header, 'latin1').toString('latin1')
      kid = typeof said === 'string' ? said : undefined
    }
    return kid
  }
}

const parsePart = (text: string) => parseObject(Buffer.from(text, 'base64url').toString('utf8'))

const unavailable = (cause: unknown) =>
  refuse('identity-unavailable', { cause, headers: { 'Retry-After': '1' } })
