import { parseJson } from '#contract/parse-json'
import { maxTokenBatch, type TokenBatchQuestion } from '#contract/token-exchange'
import { oauthRefuse, type OAuthResult } from './oauth-error.ts'

const members: ReadonlySet<string> = new Set(['form', 'request_id', 'traceparent'])

/**
 * Reads several questions from the body of one request.
 *
 * @returns Refuses all of them with `invalid_request` if it is anything else than 1 to `maxTokenBatch` objects of known members.
 */
export const readBatch = (body: Buffer): OAuthResult<readonly TokenBatchQuestion[]> => {
  const questions = parseJson(body.toString('utf8'))
  const isBatch =
    Array.isArray(questions) &&
    questions.length > 0 &&
    questions.length <= maxTokenBatch &&
    questions.every(isQuestion)
  return isBatch
    ? { ok: true, value: questions }
    : oauthRefuse(
        'invalid_request',
        'exchange-request-invalid',
        `the body must be a JSON array of 1 to ${maxTokenBatch} questions`,
      )
}

const isQuestion = (value: unknown): value is TokenBatchQuestion => {
  if (typeof value !== 'object' || value === null || !('form' in value)) return false
  for (const [name, text] of Object.entries(value))
    if (!members.has(name) || typeof text !== 'string') return false
  return true
}
