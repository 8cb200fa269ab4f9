import type { Problem } from '#contract/problem'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'

type Facts = Pick<Received, 'door' | 'nowMs'> &
  Partial<Pick<Admitted, 'caller' | 'route' | 'endpoint'>>

/** An answer that began just before the end of its token is not lost for that. */
const minAnswerMs = 10_000

/**
 * What must not go on, although it was admitted: its caller's token has ended and the route does not let it finish, or the
 * own SVID has ended with which its connection to the upstream was made.
 *
 * @param skewMs How far the clock of an issuer and ours may differ.
 */
export const expired = (
  { door, nowMs: beganMs, caller, route, endpoint }: Facts,
  nowMs: number,
  skewMs: (issuerName: string) => number,
): Problem | undefined => {
  if (door === 'request' && nowMs < beganMs + minAnswerMs) return undefined
  if (endpoint && endpoint.svidEndsAtMs <= nowMs) return svidEnded
  if (caller?.kind !== 'token' || route?.config.whenTokenExpires !== 'close') return undefined
  const { expiresAtMs, issuerName } = caller.token
  return expiresAtMs + skewMs(issuerName) <= nowMs ? tokenEnded : undefined
}

const svidEnded: Problem = {
  tag: 'upstream-identity-wrong',
  cause: 'the SVID has ended with which the connection was made',
}
const tokenEnded: Problem = { tag: 'token-expired', cause: 'it ended while the answer went on' }
