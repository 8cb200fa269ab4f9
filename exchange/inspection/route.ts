import type { AuditSink } from '#contract/audit-event'
import type { Problem } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import {
  sendProblem,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from '#http/listen'
import { bodyProblemOf } from '../body-error.ts'
import { maxCsrBytes } from '../ca/csr.ts'
import type { MintFigures } from '../mint-figures.ts'
import type { Visits } from '../visits.ts'
import { leafAnswerer, type AnswerLeafParts } from './answer-leaf.ts'

export type InspectionRouteParts = AnswerLeafParts & {
  readonly gateways: ReadonlySet<SpiffeId>
  readonly visits: Visits
  readonly audit: AuditSink
  readonly figures: MintFigures
  readonly log: Log
}

/** RFC 5967: a PKCS #10 request in DER, or as PEM. */
const csrType = 'application/pkcs10'

/**
 * `POST /inspection/certificate?host=NAME`: a certificate for a host that is inspected, for the key of the request's body,
 * which stays at the gateway. For gateways alone, over mTLS. A Fastify plugin, for it has its own body parser.
 */
export const inspectionRoute = (parts: InspectionRouteParts) => async (app: FastifyInstance) => {
  const { visits, audit, figures, gateways, log } = parts
  const answer = leafAnswerer(parts)
  const askers = new WeakMap<FastifyRequest, SpiffeId>()

  const turnDown = (request: FastifyRequest, reply: FastifyReply, problem: Problem) => {
    const { record } = visits.of(request)
    record.refused(problem)
    if (problem.tag === 'internal') figures.failed('inspection-leaf')
    else figures.refused('inspection-leaf')
    if (!request.raw.complete) reply.header('connection', 'close') // nobody reads the rest
    return sendProblem(reply, problem, record.decisionId)
  }

  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    csrType,
    { parseAs: 'buffer', bodyLimit: maxCsrBytes },
    (_request, body, done) => done(null, body),
  )

  // Before the body: none is read for a stranger, or while no record could be left.
  app.addHook('onRequest', async (request, reply) => {
    const { record, peer } = visits.begin(request, reply)
    record.at('audit')
    const recordable = audit.ready()
    if (!recordable.ok) return turnDown(request, reply, recordable.problem)
    record.at('applicant')
    if (peer.kind !== 'proven')
      return turnDown(request, reply, {
        tag: 'client-unauthenticated',
        ...(peer.kind === 'refused' ? { cause: peer.fault } : {}),
      })
    record.learn({ client: peer.spiffeId })
    if (!gateways.has(peer.spiffeId)) return turnDown(request, reply, { tag: 'client-not-allowed' })
    askers.set(request, peer.spiffeId)
  })

  app.post('/inspection/certificate', async (request, reply) => {
    const { record, nowMs, beganAt } = visits.of(request)
    const gateway = askers.get(request)
    if (gateway === undefined) throw new TypeError('the gateway was not authenticated')
    const { host } = request.query as Readonly<Record<string, unknown>>
    const csr = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const answered = await answer(gateway, host, csr, nowMs, record)
    if (!answered.ok) return turnDown(request, reply, answered.problem)
    figures.issued('inspection-leaf', performance.now() - beganAt)
    return reply
      .headers({ 'cache-control': 'no-store' })
      .type('application/json')
      .send(JSON.stringify(answered.value))
  })

  app.setErrorHandler((error, request, reply) => {
    const tag = bodyProblemOf(error)
    if (tag !== undefined) return turnDown(request, reply, { tag })
    const { decisionId } = visits.of(request).record
    log.error({ err: error, decisionId }, 'no certificate for an inspected host could be issued')
    return turnDown(request, reply, { tag: 'internal', cause: error })
  })
}
