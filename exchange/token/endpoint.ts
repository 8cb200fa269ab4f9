import type { AuditSink } from '#contract/audit-event'
import type { Log } from '#contract/telemetry'
import type { FastifyInstance, FastifyReply, FastifyRequest } from '#http/listen'
import { bodyProblemOf } from '../body-error.ts'
import type { AuthenticateParts } from '../clients/authenticate.ts'
import { lastOnConnectionIfUnread } from '../last-on-connection.ts'
import type { MintKind } from '../mint-figures.ts'
import type { Peer } from '../peer.ts'
import type { Visit, Visits } from '../visits.ts'
import { bodyRules } from './body-rules.ts'
import { oauthRefuse, problemOf, type OAuthError } from './oauth-error.ts'
import { tokenErrorAnswer, type TokenAnswer } from './respond.ts'

/** What every endpoint that takes OAuth forms needs. */
export type OAuthEndpointParts = {
  readonly visits: Visits
  readonly audit: AuditSink
  readonly log: Log
  readonly authentication: AuthenticateParts
}

/** What came of one form. */
export type FormAnswer =
  | { readonly ok: true; readonly answer: TokenAnswer }
  /** `kind` of what was asked for, if it was said. */
  | { readonly ok: false; readonly error: OAuthError; readonly kind?: MintKind }

export type OAuthEndpoint = {
  readonly path: string
  /** Whether even a stranger may prove by the body, or by a certificate of another CA, who it is. */
  readonly isOpen?: boolean
  readonly take: (request: FastifyRequest, body: Buffer, visit: Visit) => Promise<FormAnswer>
  /** Told of each refusal, whatever refused. */
  readonly refused?: (error: OAuthError, kind?: MintKind) => void
}

export const maxFormBytes = 32_768
const formType = 'application/x-www-form-urlencoded'
export const formRules = bodyRules(formType, maxFormBytes)

/**
 * One `POST` endpoint that takes a form and answers as RFC 6749 §5 says: a Fastify plugin, for it has its own body parser
 * and its own shape of errors. Every question leaves one record.
 */
export const oauthEndpoint =
  (parts: OAuthEndpointParts, { path, isOpen = false, take, refused }: OAuthEndpoint) =>
  async (app: FastifyInstance): Promise<void> => {
    const { visits, audit, log } = parts

    const refuse = (
      request: FastifyRequest,
      reply: FastifyReply,
      error: OAuthError,
      kind?: MintKind,
    ) => {
      refused?.(error, kind)
      visits.of(request).record.refused(problemOf(error))
      return sendAnswer(request, reply, tokenErrorAnswer(error))
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
      if (!recordable.ok)
        return refuse(request, reply, recordsUnavailable(recordable.problem.cause))
      record.at('client')
      const stranger = isOpen ? undefined : strangerAt(peer, parts.authentication)
      if (stranger !== undefined) return refuse(request, reply, stranger)
      record.at('body')
      const unread = formRules.unreadIn(request)
      if (unread !== undefined) return refuse(request, reply, unread)
    })

    app.post(path, async (request, reply) => {
      const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
      const taken = await take(request, body, visits.of(request))
      return taken.ok
        ? sendAnswer(request, reply, taken.answer)
        : refuse(request, reply, taken.error, taken.kind)
    })

    app.setErrorHandler((error, request, reply) => {
      const bodyProblem = bodyProblemOf(error)
      if (bodyProblem !== undefined) return refuse(request, reply, formRules.badBody(bodyProblem))
      log.error({ err: error, decisionId: visits.of(request).record.decisionId }, 'exchange failed')
      return refuse(request, reply, somethingBroke(error))
    })
  }

/** Who cannot be anybody, whatever the body says. */
const strangerAt = (
  peer: Peer,
  { clients, selfService, gateways }: AuthenticateParts,
): OAuthError | undefined => {
  if (peer.kind === 'refused') return stranger('the certificate is not acceptable', peer.fault)
  const mayProveInBody =
    selfService || clients.methods.has('client_secret') || clients.methods.has('private_key_jwt')
  if (mayProveInBody) return undefined
  if (peer.kind === 'none') return stranger('a client certificate of the mesh is required')
  return gateways.has(peer.spiffeId) || clients.bySpiffeId.has(peer.spiffeId)
    ? undefined
    : oauthRefuse(
        'unauthorized_client',
        'client-not-allowed',
        'this client may not ask for identities of others',
        { cause: peer.spiffeId },
      ).error
}

const stranger = (description: string, cause?: string) =>
  oauthRefuse(
    'invalid_client',
    'client-unauthenticated',
    description,
    cause === undefined ? {} : { cause },
  ).error

/** While no record could be left, nothing is answered. */
export const recordsUnavailable = (cause: unknown) =>
  oauthRefuse('temporarily_unavailable', 'audit-unavailable', 'exchanges cannot be recorded now', {
    cause,
    retryAfterSeconds: 5,
  }).error

export const somethingBroke = (cause: unknown) =>
  oauthRefuse('server_error', 'internal', 'something of ours broke', { cause }).error

export const sendAnswer = (
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body }: TokenAnswer,
) => {
  lastOnConnectionIfUnread(request, reply)
  return reply.code(status).headers(headers).send(body)
}
