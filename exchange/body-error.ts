import type { ProblemTag } from '#contract/problem'

/** What Fastify refuses a body for, by its own codes. */
const problemOf: ReadonlyMap<string, ProblemTag> = new Map([
  ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 'media-type-refused'],
  ['FST_ERR_CTP_EMPTY_TYPE', 'media-type-refused'],
  ['FST_ERR_CTP_BODY_TOO_LARGE', 'body-too-large'],
  ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 'request-malformed'],
  ['FST_ERR_CTP_INVALID_JSON_BODY', 'request-malformed'],
  ['FST_ERR_CTP_EMPTY_JSON_BODY', 'request-malformed'],
])

/** The problem that an error of Fastify's body reading stands for; undefined for any other error, which is ours. */
export const bodyProblemOf = (error: unknown): ProblemTag | undefined =>
  error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? problemOf.get(error.code)
    : undefined
