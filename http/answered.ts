import type { AuditEvent } from '#contract/audit-event'
import { causeText } from '#contract/cause'
import { problems, type Problem } from '#contract/problem'

const callerGone = { tag: 'caller-gone' } as const satisfies Problem

/**
 * What a record says of how a question ended that we answer ourselves, once its answer has gone out or its connection is
 * gone.
 *
 * @param answer Its status, and whether all of it went out.
 * @param refusedFor Why we refused it, if we did.
 */
export const howAnswered = (
  { status, isSent }: { readonly status: number; readonly isSent: boolean },
  refusedFor: Problem | undefined,
): Pick<AuditEvent, 'outcome' | 'problem' | 'detail' | 'cause' | 'status'> => {
  const problem: Problem | undefined = isSent ? (refusedFor ?? problemOf(status)) : callerGone
  return {
    outcome: outcomeOf(problem),
    problem: problem?.tag ?? 'none',
    ...(problem?.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem?.cause === undefined ? {} : { cause: causeText(problem.cause) }),
    status: isSent ? status : problems[callerGone.tag].status,
  }
}

/** For what Fastify answered by itself. */
const problemOf = (status: number): Problem | undefined => {
  if (status < 400) return undefined
  return { tag: status < 500 ? 'request-malformed' : 'internal' }
}

const outcomeOf = (problem: Problem | undefined): AuditEvent['outcome'] => {
  if (problem === undefined) return 'answered'
  return problem.tag === 'internal' || problem.tag === 'caller-gone' ? 'failed' : 'refused'
}
