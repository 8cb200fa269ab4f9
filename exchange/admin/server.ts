import type { AuditSink } from '#contract/audit-event'
import { isoTime } from '#contract/clock'
import type { Problem } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import {
  sendProblem,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from '#http/listen'
import { objectionToPage } from '#http/own-page'
import type { Visits } from '../visits.ts'
import { parseJoinTokenOrder, parseKeyOrder, parseRevokeOrder } from './orders.ts'
import { adminReads, type AdminReadParts } from './reads.ts'
import { keyStatus } from './status.ts'

export type ExchangeAdminParts = AdminReadParts & {
  readonly host: string
  /** Whom a join token may be for. */
  readonly joinable: ReadonlySet<SpiffeId>
  /** After keys have turned: everything that follows from it. */
  readonly keysTurned: () => Promise<void>
  readonly visits: Visits
  readonly audit: AuditSink
}

/**
 * What operators ask of the exchange: `GET /healthz`, `/readyz` with reasons, `/metrics`, `/status`, `/issued`;
 * `POST /join-tokens`, `/issued/revoke` and `/keys/rotate`. Every order leaves a record.
 *
 * It is on loopback, where every browser of the machine can reach it too: so a request must name this listener as its
 * host, come from no other page, and bring JSON, which a page of elsewhere cannot send without asking first.
 */
export const exchangeAdminRoutes = (app: FastifyInstance, parts: ExchangeAdminParts): void => {
  const { authority, joinTokens, joinable, visits, audit } = parts

  app.addHook('onRequest', async (request, reply) => {
    const problem = objectionToPage(request.headers, parts.host)
    return problem === undefined ? undefined : sendProblem(reply, problem)
  })

  app.removeContentTypeParser('text/plain') // which Fastify takes by itself, and a form of any page can send
  adminReads(app, parts)

  const recorded = async (request: FastifyRequest, reply: FastifyReply) => {
    const { record } = visits.begin(request, reply)
    record.at('audit')
    const recordable = audit.ready()
    if (recordable.ok) return record.at('order')
    return turnDown(request, reply, recordable.problem)
  }
  const turnDown = (request: FastifyRequest, reply: FastifyReply, problem: Problem) => {
    const { record } = visits.of(request)
    record.refused(problem)
    return sendProblem(reply, problem, record.decisionId)
  }

  app.post('/join-tokens', { onRequest: recorded }, async (request, reply) => {
    const order = parseJoinTokenOrder(request.body)
    if (!order.ok) return turnDown(request, reply, order.problem)
    const { spiffeId, lifetimeSeconds } = order.value
    if (!joinable.has(spiffeId))
      return turnDown(request, reply, {
        tag: 'client-not-allowed',
        detail: 'The configuration names this SPIFFE ID neither in gateways nor in joinTokens.',
      })
    visits.of(request).record.learn({ spiffeId })
    const issued = joinTokens.issue(spiffeId, lifetimeSeconds)
    if (!issued.ok) return turnDown(request, reply, issued.problem)
    const { token, expiresAtMs } = issued.value
    return reply
      .code(201)
      .header('cache-control', 'no-store')
      .send({ spiffeId, token: token.reveal(), expiresAt: isoTime(expiresAtMs) })
  })

  app.post('/issued/revoke', { onRequest: recorded }, async (request, reply) => {
    const order = parseRevokeOrder(request.body)
    if (!order.ok) return turnDown(request, reply, order.problem)
    const found = parts.register.find(order.value)
    visits.of(request).record.note(`revoke ${order.value}`)
    if (found === undefined)
      return turnDown(request, reply, { tag: 'order-refused', detail: 'No such credential lives.' })
    visits.of(request).record.learn({ spiffeId: found.subject })
    // Nobody looks a certificate up here: saying that it is revoked would promise what nothing keeps.
    if (found.kind === 'x509-svid' || found.kind === 'inspection-leaf')
      return turnDown(request, reply, {
        tag: 'order-refused',
        detail: 'A certificate ends by itself; turn the key of its CA to end it earlier.',
      })
    if (!(await parts.register.revoke(found.id, found.expiresAtMs)))
      return turnDown(request, reply, {
        tag: 'order-refused',
        detail: 'It could not be remembered: too much is revoked, or the disk refuses.',
      })
    return reply.send({ revoked: found.id })
  })

  app.post('/keys/rotate', { onRequest: recorded }, async (request, reply) => {
    const order = parseKeyOrder(request.body)
    if (!order.ok) return turnDown(request, reply, order.problem)
    visits.of(request).record.note(`${order.value.step} ${order.value.kind}`)
    const outcome = await authority.order(order.value)
    if (!outcome.done)
      return turnDown(request, reply, { tag: 'order-refused', detail: `${outcome.why}.` })
    await parts.keysTurned()
    return reply.send({ keys: keyStatus(authority.current()) })
  })
}
