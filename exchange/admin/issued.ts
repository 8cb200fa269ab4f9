import { isoTime } from '#contract/clock'
import type { FastifyInstance } from '#http/listen'
import { sendProblem } from '#http/listen'
import { issuedKinds } from '../issued/issued.ts'
import type { IssuedRegister } from '../issued/register.ts'

const maxListed = 1000
const knownQuery = new Set(['subject', 'kind'])

/**
 * `GET /issued`: who holds what until when, the earliest end first, at most 1000 of them. `?subject=SPIFFE_ID` and `?kind=`
 * pick some. No tokens: their ids.
 */
export const issuedReads = (app: FastifyInstance, register: IssuedRegister): void => {
  app.get('/issued', async (request, reply) => {
    const query = request.query as Readonly<Record<string, unknown>>
    for (const [name, value] of Object.entries(query))
      if (!knownQuery.has(name) || typeof value !== 'string')
        return sendProblem(reply, {
          tag: 'request-malformed',
          detail: 'subject and kind may be asked for, each once.',
        })
    const { subject, kind } = query as { readonly subject?: string; readonly kind?: string }
    if (kind !== undefined && !(issuedKinds as readonly string[]).includes(kind))
      return sendProblem(reply, {
        tag: 'request-malformed',
        detail: `kind must be one of ${issuedKinds.join(', ')}.`,
      })
    const all = register.list({
      ...(subject === undefined ? {} : { subject }),
      ...(kind === undefined ? {} : { kind }),
    })
    return reply.header('cache-control', 'no-store').send({
      total: all.length,
      forgotten: register.forgotten(),
      issued: all
        .slice(0, maxListed)
        .map(({ issuedAtMs, expiresAtMs, fingerprint: _own, ...rest }) => ({
          ...rest,
          issuedAt: isoTime(issuedAtMs),
          expiresAt: isoTime(expiresAtMs),
        })),
    })
  })
}
