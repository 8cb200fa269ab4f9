import { pass, refuse } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import { secret, type Secret } from '#contract/secret'
import type { Step } from '#contract/step'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import type { CompiledRoute } from './compiled-route.ts'

/** Who calls, as far as the credential says. */
export type Caller =
  | { readonly kind: 'token'; readonly token: VerifiedToken; readonly bearer: Secret<string> }
  | { readonly kind: 'anonymous' }

type Needs = { readonly head: RequestHead; readonly route: CompiledRoute; readonly nowMs: number }

const anonymous: Caller = Object.freeze({ kind: 'anonymous' })
const challenge = { 'WWW-Authenticate': 'Bearer' }

/**
 * Turns the bearer token into a caller, from the head alone: no body is read for a stranger.
 *
 * @returns A step refusing with `token-missing` or whatever `verify` refuses with.
 * @see RFC 6750 §2.1, RFC 7519 §7.2
 */
export const authenticate =
  (verify: VerifyToken): Step<Needs, Caller> =>
  ({ head, route, nowMs }) => {
    if (!route.issuers) return pass(anonymous)
    const bearer = bearerOf(headerOf(head, 'authorization'))
    if (bearer === undefined) return refuse('token-missing', { headers: challenge })
    const soon = verify(bearer, route.issuers, nowMs)
    if (soon instanceof Promise)
      return soon.then((result) => (result.ok ? pass(toCaller(result.value, bearer)) : result))
    return soon.ok ? pass(toCaller(soon.value, bearer)) : soon
  }

const toCaller = (token: VerifiedToken, bearer: string): Caller => ({
  kind: 'token',
  token,
  bearer: secret(bearer),
})

/** The scheme is compared without regard to case (RFC 9110 §11.1), and one space follows it. */
const bearerOf = (authorization: string | undefined): string | undefined => {
  if (authorization === undefined || authorization.length < 8) return undefined
  if (authorization.slice(0, 7).toLowerCase() !== 'bearer ') return undefined
  return authorization.slice(7)
}
