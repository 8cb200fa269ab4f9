import type { FastifyInstance } from '#http/listen'
import { aboutToken, type AboutTokenParts, type KnownAsker } from './about-token.ts'
import { oauthEndpoint } from './endpoint.ts'
import type { OwnToken } from './own-token.ts'
import { isForDomainOf } from './presentable.ts'
import { always } from './respond.ts'

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
  parts: AboutTokenParts,
): ((app: FastifyInstance) => Promise<void>) =>
  oauthEndpoint(parts, {
    path: '/introspect',
    take: async (request, body, visit) => {
      const asked = await aboutToken(request, body, parts, visit)
      if (!asked.ok) return asked
      const { asker, own } = asked.value
      const text = own && mayKnow(asker, own) ? describe(own) : inactive
      return { ok: true, answer: { status: 200, headers: always, body: text } }
    },
  })

/** Gateways, whom it is for, and whom it was given to. */
const mayKnow = (asker: KnownAsker, { token, kind }: OwnToken): boolean =>
  asker.kind === 'gateway' ||
  token.claims['client_id'] === asker.id ||
  (kind === 'txn-token' && isForDomainOf(asker, { token })) ||
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
