import { admitted } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Guard } from '#contract/step'
import type { Received } from './received.ts'

/** As much as goes into one DATA frame that every peer takes (RFC 9113 §4.2). */
const maxSmallBytes = 16_384

/**
 * Lets a body that is here by the end of this turn go on in one piece. Never refuses: what is wrong with a body is found
 * where it is taken (`relay.ts`).
 */
export const keepSmallBody: Guard<Pick<Received, 'body'> & { readonly head: RequestHead }> = ({
  body,
  head,
}) => {
  if (!body.expected || head.isGrpc) return admitted
  return body.keepSmall(maxSmallBytes)?.then(() => admitted) ?? admitted
}
