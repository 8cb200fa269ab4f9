import { maxTokenBatchBytes, tokenBatchPath } from '#contract/token-exchange'
import type { FastifyInstance, FastifyRequest } from '#http/listen'
import type { MintKind } from '../mint-figures.ts'
import type { VisitTogether } from '../visits.ts'
import { answerLines } from './answer-lines.ts'
import { bodyRules } from './body-rules.ts'
import { formRules, oauthDoor, somethingBroke } from './endpoint.ts'
import { oauthRefuse, problemOf, type OAuthError } from './oauth-error.ts'
import { readBatch } from './read-batch.ts'
import { tokenErrorAnswer, type TokenAnswer } from './respond.ts'
import { countRefused, takeForm, type TokenRouteParts } from './route.ts'

const batchRules = bodyRules('application/json', maxTokenBatchBytes)

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
export const tokenBatchRoute = (
  parts: TokenRouteParts,
): ((app: FastifyInstance) => Promise<void>) => {
  const { visits, log, authentication } = parts
  const take = takeForm(parts)
  const count = countRefused(parts.figures)

  const answer = async (
    request: FastifyRequest,
    form: string,
    visit: VisitTogether,
  ): Promise<TokenAnswer> => {
    const refuse = (error: OAuthError, kind?: MintKind) => {
      count(error, kind)
      visit.record.refused(problemOf(error))
      return tokenErrorAnswer(error)
    }
    try {
      const body = Buffer.from(form)
      visit.record.at('body')
      if (body.length > formRules.maxBytes) return refuse(formRules.badBody('body-too-large'))
      const taken = await take(request, body, visit)
      return taken.ok ? taken.answer : refuse(taken.error, taken.kind)
    } catch (cause) {
      log.error({ err: cause, decisionId: visit.record.decisionId }, 'exchange failed')
      return refuse(somethingBroke(cause))
    }
  }

  return oauthDoor(parts, {
    path: tokenBatchPath,
    rules: batchRules,
    refused: count,
    stranger: (peer) =>
      peer.kind === 'proven' && authentication.gateways.has(peer.spiffeId)
        ? undefined
        : notAGateway,
    handle: async (request, reply, body, refuse) => {
      const questions = readBatch(body)
      if (!questions.ok) return refuse(request, reply, questions.error)
      const begin = visits.together(request)
      reply.hijack()
      const lines = answerLines(reply.raw, questions.value.length, log)
      for (const [place, question] of questions.value.entries()) {
        const visit = begin(question)
        lines.follow(visit)
        void answer(request, question.form, visit).then((given) => lines.write(place, given, visit))
      }
      return reply
    },
  })
}
