import { admitted, refuse } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import type { Guard } from '#contract/step'
import type { CompiledRoute } from './compiled-route.ts'

/**
 * Refuses with `body-too-large` what says itself that it is too large, before anybody waits for it. A body of unknown
 * length is cut off where it passes the limit (`forward.ts`).
 */
export const bodySize: Guard<{ readonly head: RequestHead; readonly route: CompiledRoute }> = ({
  head,
  route,
}) => {
  const { maxBodyBytes } = route.config
  const declaredBytes = Number(headerOf(head, 'content-length') ?? 0)
  return declaredBytes > maxBodyBytes
    ? refuse('body-too-large', { detail: `At most ${maxBodyBytes} bytes are taken here.` })
    : admitted
}
