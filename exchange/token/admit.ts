import { decideExchange, type ExchangePolicy, type PolicyQuestion } from './decide.ts'
import { takeOne, type TakeOne } from './limit.ts'
import type { Notes } from './notes.ts'
import { grantedAs, type OAuthResult } from './oauth-error.ts'
import { oauthRefusalOf } from './party.ts'

export type AdmitParts = {
  readonly limits: { readonly subject: TakeOne | undefined }
  readonly decide: ExchangePolicy
}

/**
 * The last that is asked before something is minted: whether the subject is within its limit, and whether the policy
 * allows it.
 *
 * @param blamed The parameter of the request that a refusal by the policy is about.
 */
export const admit = async (
  { limits, decide }: AdmitParts,
  question: PolicyQuestion,
  nowMs: number,
  record: Notes,
  blamed: Parameters<typeof oauthRefusalOf>[1],
): Promise<OAuthResult<undefined>> => {
  record.at('subject limit')
  const inLimit = await takeOne(limits.subject, question.subject.spiffeId)
  if (!inLimit.ok) return inLimit
  record.at('policy')
  const { decision, problem } = await decideExchange(decide, question, nowMs)
  if (decision !== undefined) record.learn({ policy: decision })
  return problem === undefined ? grantedAs(undefined) : oauthRefusalOf(problem, blamed)
}
