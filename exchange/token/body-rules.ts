import type { ProblemTag } from '#contract/problem'
import type { FastifyRequest } from '#http/listen'
import { oauthRefuse, type OAuthError } from './oauth-error.ts'

/** What an endpoint takes for a body. */
export type BodyRules = {
  readonly mediaType: string
  readonly maxBytes: number
  /**
   * What nobody here would read, and a restriction could be in it: parameters in the URL (RFC 6749 §3.2 has them in the body), a
   * body that is coded once more, or is in other characters than UTF-8.
   */
  readonly unreadIn: (request: FastifyRequest) => OAuthError | undefined
  /** RFC 6749 §5.2 knows one answer to a body that cannot be read. */
  readonly badBody: (problem: ProblemTag) => OAuthError
}

export const bodyRules = (mediaType: string, maxBytes: number): BodyRules => {
  const inUtf8 = new RegExp(`^${mediaType}(?: *; *charset="?utf-8"?)?$`, 'i')
  const badBody = (problem: ProblemTag) =>
    oauthRefuse(
      'invalid_request',
      problem,
      `the body must be ${mediaType}, at most ${maxBytes} bytes`,
    ).error
  return {
    mediaType,
    maxBytes,
    badBody,
    unreadIn: ({ url, headers }) => {
      if (url.includes('?')) return inUrl
      if (headers['content-encoding'] !== undefined) return badBody('media-type-refused')
      const type = headers['content-type']
      return type === undefined || inUtf8.test(type) ? undefined : badBody('media-type-refused')
    },
  }
}

const inUrl = oauthRefuse(
  'invalid_request',
  'exchange-request-invalid',
  'parameters belong into the body, not into the URL',
).error
