import type { Asker } from '../clients/asker.ts'
import { authenticateAsker, clientParameters } from '../clients/authenticate.ts'
import type { FastifyInstance } from '#http/listen'
import type { OwnToken, VerifyOwnToken } from './own-token.ts'
import { oauthEndpoint, type OAuthEndpointParts } from './endpoint.ts'
import { oauthRefuse, type OAuthResult } from './oauth-error.ts'
import { factsOf } from './notes.ts'
import { always } from './respond.ts'
import { readForm } from './request.ts'
import type { Form } from './form.ts'
import type { Visit } from '../visits.ts'
import type { FastifyRequest } from '#http/listen'

export type IntrospectParts = OAuthEndpointParts & { readonly verifyOwn: VerifyOwnToken }

const known = new Set<string>([...clientParameters, 'token', 'token_type_hint'])
const inactive = JSON.stringify({ active: false })
/** Claims that an answer repeats; all else in a token is nobody's business who has not got it. */
const shown = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'jti',
  'scope',
  'client_id',
  'act',
  'cnf',
  'txn',
] as const

/**
 * `POST /introspect`: whether a token of ours is good now. What is not good, not known or not for who asks gets one and the
 * same answer.
 *
 * @see RFC 7662 §2
 */
export const introspectRoute = (
  parts: IntrospectParts,
): ((app: FastifyInstance) => Promise<void>) =>
  oauthEndpoint(parts, {
    path: '/introspect',
    take: async (request, body, visit) => {
      const asked = await tokenQuestion(request, body, parts, visit)
      if (!asked.ok) return asked
      const { asker, token } = asked.value
      const own = parts.verifyOwn(token, visit.nowMs)
      if (own?.ok) visit.record.learn({ ...factsOf(own.value.token), spiffeId: own.value.spiffeId })
      const isTold = own?.ok === true && mayKnow(asker, own.value)
      return {
        ok: true,
        answer: { status: 200, headers: always, body: isTold ? describe(own.value) : inactive },
      }
    },
  })

/** Who asks about which token: the same for introspection and revocation. */
export const tokenQuestion = async (
  request: FastifyRequest,
  body: Buffer,
  { authentication }: OAuthEndpointParts,
  { record, peer, nowMs }: Visit,
): Promise<
  OAuthResult<{ readonly asker: Exclude<Asker, { kind: 'self' }>; readonly token: string }>
> => {
  record.at('request')
  const form = readForm(body, known)
  if (!form.ok) return form
  record.at('client')
  const { authorization } = request.headers
  const credentials = { peer, authorization, form: form.value }
  const asker = await authenticateAsker(
    credentials,
    { ...authentication, selfService: false },
    nowMs,
  )
  if (!asker.ok) return asker
  if (asker.value.kind === 'self') throw new TypeError('nobody may ask here unknown')
  record.learn({ client: asker.value.id })
  record.at('token')
  const token = tokenIn(form.value)
  return token === undefined
    ? oauthRefuse('invalid_request', 'exchange-request-invalid', 'token is missing')
    : { ok: true, value: { asker: asker.value, token } }
}

const tokenIn = (form: Form) => form.get('token')?.find((value) => value !== '')

/** Gateways, whom it is for, and whom it was given to. */
const mayKnow = (asker: Exclude<Asker, { kind: 'self' }>, { token, kind }: OwnToken): boolean =>
  asker.kind === 'gateway' ||
  token.claims['client_id'] === asker.id ||
  (kind === 'txn-token' && asker.spiffeId !== undefined) ||
  token.audiences.some((audience) => audience === asker.spiffeId || asker.receives.has(audience))

const describe = ({ token, kind }: OwnToken): string => {
  const { claims } = token
  const isDpop =
    typeof claims['cnf'] === 'object' && claims['cnf'] !== null && 'jkt' in claims['cnf']
  return JSON.stringify({
    active: true,
    ...(kind === 'access-token' ? { token_type: isDpop ? 'DPoP' : 'Bearer' } : {}),
    ...Object.fromEntries(
      shown.filter((name) => Object.hasOwn(claims, name)).map((name) => [name, claims[name]]),
    ),
  })
}
