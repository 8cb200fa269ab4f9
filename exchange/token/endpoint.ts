import type { AuditSink } from '#contract/audit-event'
import type { Log } from '#contract/telemetry'
import type { FastifyInstance, FastifyReply, FastifyRequest } from '#http/listen'
import { bodyProblemOf } from '../body-error.ts'
import type { AuthenticateParts } from '../clients/authenticate.ts'
import { lastOnConnectionIfUnread } from '../last-on-connection.ts'
import type { MintKind } from '../mint-figures.ts'
import type { Peer } from '../peer.ts'
import type { Visit, Visits } from '../visits.ts'
import { bodyRules, type BodyRules } from './body-rules.ts'
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

export const formRules = bodyRules('application/x-www-form-urlencoded', 32_768)

/** Answers a refusal, and leaves it in the record and the figures. */
export type Refuse = (
  request: FastifyRequest,
  reply: FastifyReply,
  error: OAuthError,
  kind?: MintKind,
) => FastifyReply

/** One `POST` endpoint: who is let in, what is read, and what is done with it. */
type OAuthDoor = Pick<OAuthEndpoint, 'path' | 'refused'> & {
  readonly rules: BodyRules
  /** Why none of this peer's bodies is read, if so. */
  readonly stranger: (peer: Peer) => OAuthError | undefined
  readonly handle: (
    request: FastifyRequest,
    reply: FastifyReply,
    body: Buffer,
    refuse: Refuse,
  ) => Promise<unknown>
}

/** An endpoint that takes one form, and answers as RFC 6749 §5 says. */
export const oauthEndpoint = (
  parts: OAuthEndpointParts,
  { path, isOpen = false, take, refused }: OAuthEndpoint,
): ((app: FastifyInstance) => Promise<void>) =>
  oauthDoor(parts, {
    path,
    ...(refused ? { refused } : {}),
    rules: formRules,
    stranger: (peer) => (isOpen ? undefined : strangerAt(peer, parts.authentication)),
    handle: async (request, reply, body, refuse) => {
      const taken = await take(request, body, parts.visits.of(request))
      return taken.ok
        ? sendAnswer(request, reply, taken.answer)
        : refuse(request, reply, taken.error, taken.kind)
    },
  })

/**
 * A Fastify plugin, for it has its own body parser and its own shape of errors. No body is read for a stranger, or while no
 * record could be left; every request leaves one, unless what is in it does.
 */
export const oauthDoor =
  (
    { visits, audit, log }: OAuthEndpointParts,
    { path, rules, stranger, refused, handle }: OAuthDoor,
  ) =>
  async (app: FastifyInstance): Promise<void> => {
    const refuse: Refuse = (request, reply, error, kind) => {
      refused?.(error, kind)
      visits.of(request).record.refused(problemOf(error))
      return sendAnswer(request, reply, tokenErrorAnswer(error))
    }

    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      rules.mediaType,
      { parseAs: 'buffer', bodyLimit: rules.maxBytes },
      (_request, body, done) => done(null, body),
    )

    app.addHook('onRequest', async (request, reply) => {
      const { record, peer } = visits.begin(request, reply)
      record.at('audit')
      const recordable = audit.ready()
      if (!recordable.ok)
        return refuse(request, reply, recordsUnavailable(recordable.problem.cause))
      record.at('client')
      const strange = stranger(peer)
      if (strange !== undefined) return refuse(request, reply, strange)
      record.at('body')
      const unread = rules.unreadIn(request)
      if (unread !== undefined) return refuse(request, reply, unread)
    })

    app.post(path, (request, reply) =>
      handle(
        request,
        reply,
        Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        refuse,
      ),
    )

    app.setErrorHandler((error, request, reply) => {
      const bodyProblem = bodyProblemOf(error)
      if (bodyProblem !== undefined) return refuse(request, reply, rules.badBody(bodyProblem))
      log.error({ err: error, decisionId: visits.of(request).record.decisionId }, 'exchange failed')
      return refuse(request, reply, somethingBroke(error))
    })
  }

/** Who cannot be anybody, whatever the body says. */
const strangerAt = (
  peer: Peer,
  { clients, selfService, gateways }: AuthenticateParts,
): OAuthError | undefined => {
  if (peer.kind === 'refused') return unproven('the certificate is not acceptable', peer.fault)
  const mayProveInBody =
    selfService || clients.methods.has('client_secret') || clients.methods.has('private_key_jwt')
  if (mayProveInBody) return undefined
  if (peer.kind === 'none') return unproven('a client certificate of the mesh is required')
  return gateways.has(peer.spiffeId) || clients.bySpiffeId.has(peer.spiffeId)
    ? undefined
    : oauthRefuse(
        'unauthorized_client',
        'client-not-allowed',
        'this client may not ask for identities of others',
        { cause: peer.spiffeId },
      ).error
}

const unproven = (description: string, cause?: string) =>
  oauthRefuse(
    'invalid_client',
    'client-unauthenticated',
    description,
    cause === undefined ? {} : { cause },
  ).error

const recordsUnavailable = (cause: unknown) =>
  oauthRefuse('temporarily_unavailable', 'audit-unavailable', 'exchanges cannot be recorded now', {
    cause,
    retryAfterSeconds: 5,
  }).error

export const somethingBroke = (cause: unknown) =>
  oauthRefuse('server_error', 'internal', 'something of ours broke', { cause }).error

const sendAnswer = (
  request: FastifyRequest,
  reply: FastifyReply,
  { status, headers, body }: TokenAnswer,
) => {
  lastOnConnectionIfUnread(request, reply)
  return reply.code(status).headers(headers).send(body)
}
