import type { FastifyInstance } from '#http/listen'
import type { IssuedRegister } from '../issued/register.ts'
import { aboutToken, type AboutTokenParts, type KnownAsker } from './about-token.ts'
import { oauthEndpoint } from './endpoint.ts'
import { oauthRefuse } from './oauth-error.ts'
import type { OwnToken } from './own-token.ts'
import { always } from './respond.ts'

export type RevokeParts = AboutTokenParts & {
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
      const asked = await aboutToken(request, body, parts, visit)
      if (!asked.ok) return asked
      const { asker, own } = asked.value
      const done = { ok: true, answer: { status: 200, headers: always, body: '' } } as const
      if (!own) return done
      if (!isHeldBy(asker, own, parts.register)) {
        visit.record.note('not of this client: not revoked')
        return done
      }
      visit.record.note('revoke')
      const { jti = '', expiresAtMs, fingerprint } = own.token
      return (await parts.register.revoke(jti, expiresAtMs, fingerprint))
        ? done
        : oauthRefuse(
            'temporarily_unavailable',
            'overloaded',
            'it cannot be remembered now, try again later',
            { retryAfterSeconds: 60 },
          )
    },
  })

/** RFC 7009 §2.1: the client that it was issued to. Gateways may take back what they asked for. */
const isHeldBy = (
  asker: KnownAsker,
  { token }: OwnToken,
  register: RevokeParts['register'],
): boolean => {
  const client = register.find(token.jti ?? '')?.client ?? token.claims['client_id']
  return client === asker.id
}
