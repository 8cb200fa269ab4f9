import { maxTokenBatchBytes, tokenBatchPath } from '#contract/token-exchange'
import type { FastifyInstance, FastifyReply, FastifyRequest } from '#http/listen'
import { bodyProblemOf } from '../body-error.ts'
import type { VisitTogether } from '../visits.ts'
import { answerLines } from './answer-lines.ts'
import { bodyRules } from './body-rules.ts'
import {
  formRules,
  maxFormBytes,
  recordsUnavailable,
  sendAnswer,
  somethingBroke,
} from './endpoint.ts'
import { oauthRefuse, problemOf, type OAuthError } from './oauth-error.ts'
import { readBatch } from './read-batch.ts'
import { tokenErrorAnswer, type TokenAnswer } from './respond.ts'
import { countRefused, takeForm, type TokenRouteParts } from './route.ts'

const batchType = 'application/json'
const { unreadIn, badBody } = bodyRules(batchType, maxTokenBatchBytes)

const notAGateway = oauthRefuse(
  'unauthorized_client',
  'client-not-allowed',
  'only gateways ask several questions at once',
).error

/**
 * `POST /token/batch`: what a gateway asks in one turn of its event loop comes in one request, and each question is answered
 * as `/token` would, in a line of its own, as soon as its answer is known. For gateways alone.
 *
 * What it saves is HTTP: a stream, a route and their ends are a good half of what a question of its own costs.
 */
export const tokenBatchRoute =
  (parts: TokenRouteParts) =>
  async (app: FastifyInstance): Promise<void> => {
    const { visits, audit, log, authentication } = parts
    const take = takeForm(parts)
    const count = countRefused(parts.figures)

    /** Of all that was asked: in one record, as nobody has looked at the questions. */
    const refuseAll = (request: FastifyRequest, reply: FastifyReply, error: OAuthError) => {
      count(error)
      visits.of(request).record.refused(problemOf(error))
      return sendAnswer(request, reply, tokenErrorAnswer(error))
    }

    const answer = async (
      request: FastifyRequest,
      form: string,
      visit: VisitTogether,
    ): Promise<TokenAnswer> => {
      const refuse = (error: OAuthError, kind?: Parameters<typeof count>[1]) => {
        count(error, kind)
        visit.record.refused(problemOf(error))
        return tokenErrorAnswer(error)
      }
      try {
        const body = Buffer.from(form)
        visit.record.at('body')
        if (body.length > maxFormBytes) return refuse(formRules.badBody('body-too-large'))
        const taken = await take(request, body, visit)
        return taken.ok ? taken.answer : refuse(taken.error, taken.kind)
      } catch (cause) {
        log.error({ err: cause, decisionId: visit.record.decisionId }, 'exchange failed')
        return refuse(somethingBroke(cause))
      }
    }

    app.removeAllContentTypeParsers()
    app.addContentTypeParser(
      batchType,
      { parseAs: 'buffer', bodyLimit: maxTokenBatchBytes },
      (_request, body, done) => done(null, body),
    )

    // Before the body: until that is read, there is one record of all.
    app.addHook('onRequest', async (request, reply) => {
      const { record, peer } = visits.begin(request, reply)
      record.at('audit')
      const recordable = audit.ready()
      if (!recordable.ok)
        return refuseAll(request, reply, recordsUnavailable(recordable.problem.cause))
      record.at('client')
      if (peer.kind !== 'proven' || !authentication.gateways.has(peer.spiffeId))
        return refuseAll(request, reply, notAGateway)
      record.at('body')
      const unread = unreadIn(request)
      if (unread !== undefined) return refuseAll(request, reply, unread)
    })

    app.post(tokenBatchPath, (request, reply) => {
      const questions = readBatch(request.body)
      if (!questions.ok) return void refuseAll(request, reply, questions.error)
      const begin = visits.together(request)
      reply.hijack()
      const lines = answerLines(reply.raw, questions.value.length, log)
      for (const [place, question] of questions.value.entries()) {
        const visit = begin(question)
        lines.follow(visit)
        void answer(request, question.form, visit).then((given) => lines.write(place, given, visit))
      }
    })

    app.setErrorHandler((error, request, reply) => {
      const problem = bodyProblemOf(error)
      if (problem !== undefined) return refuseAll(request, reply, badBody(problem))
      log.error({ err: error, decisionId: visits.of(request).record.decisionId }, 'exchange failed')
      return refuseAll(request, reply, somethingBroke(error))
    })
  }
