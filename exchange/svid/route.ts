import type { AuditSink } from '#contract/audit-event'
import { pass, refuse, type Problem, type Result } from '#contract/problem'
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
import type { JoinTokens } from '../join-tokens.ts'
import type { MintFigures } from '../mint-figures.ts'
import type { Peer } from '../peer.ts'
import type { Visits } from '../visits.ts'
import { answerCsr, type AnswerCsrParts, type Applicant } from './answer-csr.ts'

export type X509RouteParts = AnswerCsrParts & {
  readonly visits: Visits
  readonly audit: AuditSink
  readonly figures: MintFigures
  readonly log: Log
  /** Who may hold a certificate at all: whom the configuration names no more cannot renew for ever. */
  readonly holders: ReadonlySet<SpiffeId>
}

/** RFC 5967: a PKCS #10 request in DER. */
const csrType = 'application/pkcs10'

/**
 * `POST /svid/x509`: a Fastify plugin, for it has its own body parser. The first certificate is had by a join token as
 * bearer token, the next ones over mTLS with the last, for the same SPIFFE ID.
 */
export const x509Route = (parts: X509RouteParts) => async (app: FastifyInstance) => {
  const { visits, audit, figures, log, joinTokens, holders } = parts
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
    const { record, peer } = visits.begin(request, reply)
    record.at('audit')
    const recordable = audit.ready()
    if (!recordable.ok) return turnDown(request, reply, recordable.problem)
    record.at('applicant')
    const applicant = applicantOf(request.headers.authorization, peer, joinTokens, holders)
    if (!applicant.ok) return turnDown(request, reply, applicant.problem)
    record.learn({ client: applicant.value.spiffeId, spiffeId: applicant.value.spiffeId })
    record.at('body')
    applicants.set(request, applicant.value)
  })

  app.post('/svid/x509', async (request, reply) => {
    const { record, nowMs, beganAt } = visits.of(request)
    const applicant = applicants.get(request)
    if (applicant === undefined) throw new TypeError('the applicant was not authenticated')
    const csr = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const answer = answerCsr(parts, applicant, csr, nowMs, record)
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

/**
 * Who asks. A bearer token counts before the certificate of the connection: one method a request.
 *
 * @returns Refuses with `join-token-refused`, `client-unauthenticated` or `client-not-allowed`.
 * @see RFC 6750 §2.1 and §3
 */
const applicantOf = (
  authorization: string | undefined,
  peer: Peer,
  joinTokens: JoinTokens,
  holders: ReadonlySet<SpiffeId>,
): Result<Applicant> => {
  if (authorization !== undefined) {
    const [, token] = /^Bearer +([\w.~+/-]{1,200}=*)$/i.exec(authorization) ?? []
    const spiffeId = token === undefined ? undefined : joinTokens.find(token)
    return token === undefined || spiffeId === undefined
      ? refuse('join-token-refused', {
          headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
        })
      : pass({ by: 'join-token', token, spiffeId })
  }
  if (peer.kind !== 'proven')
    return refuse('client-unauthenticated', {
      detail: 'Bring a join token, or the certificate that is to be renewed.',
      headers: { 'www-authenticate': 'Bearer' },
      ...(peer.kind === 'refused' ? { cause: peer.fault } : {}),
    })
  if (!holders.has(peer.spiffeId)) return refuse('client-not-allowed')
  return pass({ by: 'certificate', spiffeId: peer.spiffeId })
}
