import type { QuotaHeaders } from '#contract/quota'
import { headerOf } from '#contract/request-head'
import { withCors } from './cors.ts'
import type { Admitted } from './pipeline.ts'

/**
 * Headers of an answer for the caller: the upstream's, whose hop-by-hop ones are gone already, less our own prefix (a
 * service must not be able to speak as the gateway), then ours.
 */
export const answerHeaders = (
  upstream: readonly string[],
  request: Admitted,
  quotaHeaders: QuotaHeaders,
): string[] => {
  const headers: string[] = []
  for (let i = 0; i + 1 < upstream.length; i += 2) {
    const name = upstream[i] as string
    if (!name.startsWith('x-sallyport-')) headers.push(name, upstream[i + 1] as string)
  }
  headers.push('x-sallyport-decision-id', request.decisionId)
  const quotas = quotaHeaders([request.addressQuota, request.routeQuota, request.callerQuota])
  for (const part of quotas) headers.push(part)
  const { cors } = request.route
  return cors ? withCors(headers, cors.answer(headerOf(request.head, 'origin'))) : headers
}
