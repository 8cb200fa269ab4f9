import type { FastifyInstance } from '#http/listen'
import type { Asker } from '../clients/asker.ts'
import type { IssuedRegister } from '../issued/register.ts'
import { oauthEndpoint, type OAuthEndpointParts } from './endpoint.ts'
import { factsOf } from './notes.ts'
import { tokenQuestion } from './introspect.ts'
import { oauthRefuse } from './oauth-error.ts'
import type { OwnToken, VerifyOwnToken } from './own-token.ts'
import { always } from './respond.ts'

export type RevokeParts = OAuthEndpointParts & {
  readonly verifyOwn: VerifyOwnToken
  readonly register: Pick<IssuedRegister, 'find' | 'revoke'>
}

/**
 * `POST /revoke`: takes a token back, and what is known to have come from it. A token that is not ours, not good any more
 * or not the asker's is answered like one that was revoked; the last stays as it is.
 *
 * Whoever checks tokens by the published keys alone does not hear of it; introspection, and every exchange, do.
 *
 * @see RFC 7009 §2
 */
export const revokeRoute = (parts: RevokeParts): ((app: FastifyInstance) => Promise<void>) =>
  oauthEndpoint(parts, {
    path: '/revoke',
    take: async (request, body, visit) => {
      const asked = await tokenQuestion(request, body, parts, visit)
      if (!asked.ok) return asked
      const { asker, token } = asked.value
      const own = parts.verifyOwn(token, visit.nowMs)
      if (own?.ok) {
        visit.record.learn({ ...factsOf(own.value.token), spiffeId: own.value.spiffeId })
        if (isHeldBy(asker, own.value, parts.register)) {
          visit.record.note('revoke')
          const { jti = '', expiresAtMs } = own.value.token
          if (!(await parts.register.revoke(jti, expiresAtMs)))
            return oauthRefuse(
              'temporarily_unavailable',
              'overloaded',
              'it cannot be remembered now, try again later',
              { retryAfterSeconds: 60 },
            )
        } else visit.record.note('not of this client: not revoked')
      }
      return { ok: true, answer: { status: 200, headers: always, body: '' } }
    },
  })

/** RFC 7009 §2.1: the client that it was issued to. Gateways may take back what they asked for. */
const isHeldBy = (
  asker: Exclude<Asker, { kind: 'self' }>,
  { token }: OwnToken,
  register: RevokeParts['register'],
): boolean => {
  const client = register.find(token.jti ?? '')?.client ?? token.claims['client_id']
  return client === asker.id
}
