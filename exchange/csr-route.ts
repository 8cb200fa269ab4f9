import type { AuditSink } from '#contract/audit-event'
import type { Problem, Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { Log } from '#contract/telemetry'
import {
  sendProblem,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from '#http/listen'
import { bodyProblemOf } from './body-error.ts'
import { maxCsrBytes } from './ca/csr.ts'
import { lastOnConnectionIfUnread } from './last-on-connection.ts'
import type { MintFigures, MintKind } from './mint-figures.ts'
import type { Visit, Visits } from './visits.ts'

export type CsrRouteParts = {
  readonly visits: Visits
  readonly audit: AuditSink
  readonly figures: MintFigures
  readonly log: Log
}

/** Where certificates are asked for by a request of PKCS #10: what differs from one such place to the other. */
export type CsrRoute<Applicant extends object> = {
  readonly path: string
  readonly kind: MintKind
  /** Names that may stand in the URL. What nobody would read is refused: a restriction could be in it. */
  readonly parameters?: readonly string[]
  /** Who asks, by the head and the connection. */
  readonly applicantOf: (request: FastifyRequest, visit: Visit) => Soon<Result<Applicant>>
  /** What is answered, as JSON. */
  readonly answer: (
    applicant: Applicant,
    csr: Buffer,
    request: FastifyRequest,
    visit: Visit,
  ) => Promise<Result<object>>
}

/** RFC 5967: a PKCS #10 request in DER. */
const csrType = 'application/pkcs10'

/**
 * A Fastify plugin, for it has its own body parser. Who asks is known before the body: none is read for a stranger, or while
 * no record could be left.
 */
export const csrRoute =
  <Applicant extends object>(
    { path, kind, parameters = [], applicantOf, answer }: CsrRoute<Applicant>,
    { visits, audit, figures, log }: CsrRouteParts,
  ) =>
  async (app: FastifyInstance) => {
    const applicants = new WeakMap<FastifyRequest, Applicant>()

    const turnDown = (request: FastifyRequest, reply: FastifyReply, problem: Problem) => {
      const { record } = visits.of(request)
      record.refused(problem)
      if (problem.tag === 'internal') figures.failed(kind)
      else figures.refused(kind)
      lastOnConnectionIfUnread(request, reply)
      return sendProblem(reply, problem, record.decisionId)
    }

    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      csrType,
      { parseAs: 'buffer', bodyLimit: maxCsrBytes },
      (_request, body, done) => done(null, body),
    )

    app.addHook('onRequest', async (request, reply) => {
      const visit = visits.begin(request, reply)
      visit.record.at('audit')
      const recordable = audit.ready()
      if (!recordable.ok) return turnDown(request, reply, recordable.problem)
      visit.record.at('applicant')
      const applicant = await applicantOf(request, visit)
      if (!applicant.ok) return turnDown(request, reply, applicant.problem)
      visit.record.at('body')
      const unknown = Object.keys(request.query as object).find(
        (name) => !parameters.includes(name),
      )
      if (unknown !== undefined)
        return turnDown(request, reply, {
          tag: 'request-malformed',
          detail:
            parameters.length === 0
              ? 'Nothing can be asked for in the URL.'
              : `Only this can be asked for in the URL: ${parameters.join(', ')}.`,
        })
      if (request.headers['content-encoding'] !== undefined)
        return turnDown(request, reply, { tag: 'media-type-refused' })
      applicants.set(request, applicant.value)
    })

    app.post(path, async (request, reply) => {
      const visit = visits.of(request)
      const applicant = applicants.get(request)
      if (applicant === undefined) throw new TypeError('the applicant was not authenticated')
      const csr = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const answered = await answer(applicant, csr, request, visit)
      if (!answered.ok) return turnDown(request, reply, answered.problem)
      figures.issued(kind, performance.now() - visit.beganAt)
      return reply
        .headers({ 'cache-control': 'no-store' })
        .type('application/json')
        .send(JSON.stringify(answered.value))
    })

    app.setErrorHandler((error, request, reply) => {
      const tag = bodyProblemOf(error)
      if (tag !== undefined) return turnDown(request, reply, { tag })
      const { decisionId } = visits.of(request).record
      log.error({ err: error, decisionId, kind }, 'no certificate could be issued')
      return turnDown(request, reply, { tag: 'internal', cause: error })
    })
  }
