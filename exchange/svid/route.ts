import type { AuditSink } from '#contract/audit-event'
import type { Problem } from '#contract/problem'
import type { Log } from '#contract/telemetry'
import {
  sendProblem,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from '#http/listen'
import { peerOf as connectionOf } from '#http/peer'
import { bodyProblemOf } from '../body-error.ts'
import { maxCsrBytes } from '../ca/csr.ts'
import type { MintFigures } from '../mint-figures.ts'
import type { Visits } from '../visits.ts'
import { certificateOf, joined } from '../token/route.ts'
import { answerCsr, type AnswerCsrParts } from './answer-csr.ts'
import { applicantOf, type ApplicantParts } from './applicant.ts'
import type { Applicant } from './application.ts'

export type X509RouteParts = AnswerCsrParts &
  ApplicantParts & {
    readonly visits: Visits
    readonly audit: AuditSink
    readonly figures: MintFigures
    readonly log: Log
  }

/** RFC 5967: a PKCS #10 request in DER. */
const csrType = 'application/pkcs10'

/**
 * `POST /svid/x509`: a Fastify plugin, for it has its own body parser. A gateway's first certificate is had by a join
 * token or its platform's token as bearer token, the next ones over mTLS with the last, for the same SPIFFE ID; functions and
 * jobs come with their platform's token each time.
 */
export const x509Route = (parts: X509RouteParts) => async (app: FastifyInstance) => {
  const { visits, audit, figures, log } = parts
  const applicants = new WeakMap<FastifyRequest, Applicant>()

  const turnDown = (request: FastifyRequest, reply: FastifyReply, problem: Problem) => {
    const { record } = visits.of(request)
    record.refused(problem)
    if (problem.tag === 'internal') figures.failed('x509-svid')
    else figures.refused('x509-svid')
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
    const { record, peer, nowMs } = visits.begin(request, reply)
    record.at('audit')
    const recordable = audit.ready()
    if (!recordable.ok) return turnDown(request, reply, recordable.problem)
    record.at('applicant')
    const { address, tlsVersion } = connectionOf(request.socket)
    const question = {
      authorization: request.headers.authorization,
      headers: joined(request.headers),
      certificate: certificateOf(request),
      peer,
      address,
      tlsVersion,
    }
    const applicant = await applicantOf(question, parts, nowMs, record)
    if (!applicant.ok) return turnDown(request, reply, applicant.problem)
    const { client, spiffeId } = applicant.value
    record.learn({ client, spiffeId })
    record.at('body')
    applicants.set(request, applicant.value)
  })

  app.post('/svid/x509', async (request, reply) => {
    const { record, nowMs, beganAt } = visits.of(request)
    const applicant = applicants.get(request)
    if (applicant === undefined) throw new TypeError('the applicant was not authenticated')
    const csr = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const covered = applicant.seesBody?.(csr)
    if (covered && !covered.ok) return turnDown(request, reply, covered.problem)
    const answer = await answerCsr(parts, applicant, csr, nowMs, record)
    if (!answer.ok) return turnDown(request, reply, answer.problem)
    figures.issued('x509-svid', performance.now() - beganAt)
    return reply
      .headers({ 'cache-control': 'no-store' })
      .type('application/json')
      .send(JSON.stringify(answer.value))
  })

  app.setErrorHandler((error, request, reply) => {
    const tag = bodyProblemOf(error)
    if (tag !== undefined) return turnDown(request, reply, { tag })
    const { decisionId } = visits.of(request).record
    log.error({ err: error, decisionId }, 'no certificate could be issued')
    return turnDown(request, reply, { tag: 'internal', cause: error })
  })
}
