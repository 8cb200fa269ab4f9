import { refuse, type ProblemTag, type Refusal } from '#contract/problem'

/**
 * Refuses a token, with the challenge that tells its holder why.
 *
 * @param description For the caller: printable ASCII without quotes or backslashes, nothing that it may not know.
 * @param cause For the record.
 * @see RFC 6750 §3
 */
export const refuseToken = (tag: ProblemTag, description: string, cause?: unknown): Refusal =>
  refuse(tag, {
    detail: description,
    ...(cause === undefined ? {} : { cause }),
    headers: {
      'WWW-Authenticate': `Bearer error="invalid_token", error_description="${description}"`,
    },
  })

/** A name that the operator or the sender chose, made fit for a challenge. */
export const quotable = (text: string): string => text.slice(0, 64).replace(/[^ -!#-[\]-~]/g, '?')
