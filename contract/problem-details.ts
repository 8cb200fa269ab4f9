import { problems, type Problem } from './problem.ts'

/** What a caller gets to read of a problem. */
export type ProblemDetails = {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly detail?: string
  /** By which operators find the record of this request. */
  readonly decisionId?: string
}

export const problemMediaType = 'application/problem+json'

/**
 * The caller's side of a problem; its cause is not in it.
 *
 * @see RFC 9457 §3
 */
export const problemDetails = (problem: Problem, decisionId?: string): ProblemDetails => {
  const { status, title } = problems[problem.tag]
  return {
    type: `urn:sallyport:problem:${problem.tag}`,
    title,
    status,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...(decisionId === undefined ? {} : { decisionId }),
  }
}
