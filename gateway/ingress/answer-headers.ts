import type { QuotaHeaders } from '#contract/quota'
import { headerOf } from '#contract/request-head'
import { withCors } from './cors.ts'
import type { Admitted } from './pipeline.ts'

/** Headers of an answer for the caller, in the order in which they go out. */
export type AnswerHeaders = {
  /** The upstream's, as it sent them where nothing had to be taken out: the same list then in many answers. */
  readonly theirs: readonly string[]
  readonly ours: readonly string[]
}

/**
 * The upstream's headers, whose hop-by-hop ones are gone already, less our own prefix (a service must not be able to speak
 * as the gateway), then ours.
 */
export const answerHeaders = (
  upstream: readonly string[],
  request: Admitted,
  quotaHeaders: QuotaHeaders,
): AnswerHeaders => {
  const theirs = withoutOurPrefix(upstream)
  const ours = [
    'x-sallyport-decision-id',
    request.decisionId,
    ...quotaHeaders([request.addressQuota, request.routeQuota, request.callerQuota]),
  ]
  const { cors } = request.route
  if (!cors) return { theirs, ours }
  const told = cors.answer(headerOf(request.head, 'origin'))
  return { theirs: [], ours: withCors([...theirs, ...ours], told) }
}

const ourPrefix = 'x-sallyport-'

const withoutOurPrefix = (headers: readonly string[]): readonly string[] => {
  for (let at = 0; at < headers.length; at += 2)
    if (headers[at]?.startsWith(ourPrefix))
      return headers.filter((_, i) => !headers[i - (i % 2)]?.startsWith(ourPrefix))
  return headers
}
