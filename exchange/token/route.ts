import type { AuditSink } from '#contract/audit-event'
import type { ProblemTag } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import type { FastifyInstance, FastifyReply, FastifyRequest } from '#http/listen'
import { bodyProblemOf } from '../body-error.ts'
import type { MintFigures, MintKind } from '../mint-figures.ts'
import type { Visits } from '../visits.ts'
import { exchangeToken, type TokenExchangeParts } from './exchange-token.ts'
import { authenticateClient } from './grant.ts'
import { oauthRefuse, type OAuthError } from './oauth-error.ts'
import { tokenAnswer, tokenErrorAnswer, type TokenAnswer } from './respond.ts'

export type TokenRouteParts = TokenExchangeParts & {
  readonly visits: Visits
  readonly audit: AuditSink
  readonly figures: MintFigures
  readonly log: Log
}

const maxFormBytes = 32_768
const formType = 'application/x-www-form-urlencoded'

/** `POST /token`: a Fastify plugin, for it has its own body parser and its own shape of errors. */
export const tokenRoute = (parts: TokenRouteParts) => async (app: FastifyInstance) => {
  const { visits, audit, figures, log, policy } = parts
  const exchange = exchangeToken(parts)
  const clients = new WeakMap<FastifyRequest, SpiffeId>()

  const refuse = (
    request: FastifyRequest,
    reply: FastifyReply,
    error: OAuthError,
    kind: MintKind = 'unknown',
  ) => {
    if (error.problem === 'internal') figures.failed(kind)
    else figures.refused(kind)
    const { problem: tag, description: detail, cause } = error
    visits.of(request).record.refused({ tag, detail, ...(cause === undefined ? {} : { cause }) })
    return send(request, reply, tokenErrorAnswer(error))
  }

  app.removeAllContentTypeParsers()
  app.addContentTypeParser(
    formType,
    { parseAs: 'buffer', bodyLimit: maxFormBytes },
    (_request, body, done) => done(null, body),
  )

  // Before the body: none is read for a stranger, or while no record could be left.
  app.addHook('onRequest', async (request, reply) => {
    const { record, peer } = visits.begin(request, reply)
    record.at('audit')
    const recordable = audit.ready()
    if (!recordable.ok) return refuse(request, reply, unavailable(recordable.problem.cause))
    record.at('client')
    const client = authenticateClient(peer, policy.gateways)
    if (!client.ok) return refuse(request, reply, client.error)
    record.learn({ client: client.value })
    record.at('body')
    clients.set(request, client.value)
  })

  app.post('/token', async (request, reply) => {
    const { record, nowMs, beganAt } = visits.of(request)
    const client = clients.get(request)
    if (client === undefined) throw new TypeError('the client was not authenticated')
    const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
    const { kind, result } = await exchange(client, body, nowMs, record)
    if (!result.ok) return refuse(request, reply, result.error, kind)
    figures.issued(kind, performance.now() - beganAt)
    return send(request, reply, tokenAnswer(result.value))
  })

  app.setErrorHandler((error, request, reply) => {
    const bodyProblem = bodyProblemOf(error)
    if (bodyProblem !== undefined) return refuse(request, reply, bodyError(bodyProblem))
    log.error({ err: error, decisionId: visits.of(request).record.decisionId }, 'exchange failed')
    return refuse(request, reply, broken(error))
  })
}

/** RFC 6749 §5.2 knows one answer to a body that cannot be read. */
const bodyError = (problem: ProblemTag) =>
  oauthRefuse(
    'invalid_request',
    problem,
    `the body must be ${formType}, at most ${maxFormBytes} bytes`,
  ).error

const unavailable = (cause: unknown) =>
  oauthRefuse('temporarily_unavailable', 'audit-unavailable', 'exchanges cannot be recorded now', {
    cause,
    retryAfterSeconds: 5,
  }).error

const broken = (cause: unknown) =>
  oauthRefuse('server_error', 'internal', 'something of ours broke', { cause }).error

const send = (
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body }: TokenAnswer,
) => {
  if (!request.raw.complete) reply.header('connection', 'close') // nobody reads the rest
  return reply.code(status).headers(headers).send(body)
}
