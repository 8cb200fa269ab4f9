import { pass, refuse, type Result } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import { secret, type Secret } from '#contract/secret'
import type { Soon, Step } from '#contract/step'
import type { Peer } from '#http/peer'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import type { CompiledRoute } from './compiled-route.ts'
import { boundChallenge, checkHolder, type HolderParts, type Presented } from './token-holder.ts'

/** Who calls, as far as the credential says. */
export type Caller =
  | { readonly kind: 'token'; readonly token: VerifiedToken; readonly bearer: Secret<string> }
  | { readonly kind: 'anonymous' }

type Needs = {
  readonly head: RequestHead
  readonly route: CompiledRoute
  readonly peer: Peer
  readonly nowMs: number
}

export type AuthenticateParts = { readonly verify: VerifyToken; readonly holder: HolderParts }

const anonymous: Caller = Object.freeze({ kind: 'anonymous' })
const challenge = { 'WWW-Authenticate': 'Bearer' }

/**
 * Turns the token of a request into a caller, from the head alone: no body is read for a stranger.
 *
 * @returns A step refusing with `token-missing` or whatever `verify` and `checkHolder` refuse with.
 * @see RFC 6750 §2.1, RFC 7519 §7.2, RFC 9449 §7.1
 */
export const authenticate =
  ({ verify, holder }: AuthenticateParts): Step<Needs, Caller> =>
  ({ head, route, peer, nowMs }) => {
    if (!route.issuers) return pass(anonymous)
    const credential = credentialOf(headerOf(head, 'authorization'))
    if (credential === undefined)
      return refuse('token-missing', { headers: route.mustBeBound ? boundChallenge : challenge })
    const { text } = credential
    const held = (verified: Result<VerifiedToken>): Soon<Result<Caller>> => {
      if (!verified.ok) return verified
      const token = verified.value
      const caller: Caller = { kind: 'token', token, bearer: secret(text) }
      const presented = { ...credential, head, peer, nowMs }
      const proof = checkHolder(token, presented, holder, route.mustBeBound)
      if (proof instanceof Promise)
        return proof.then((result) => (result.ok ? pass(caller) : result))
      return proof.ok ? pass(caller) : proof
    }
    const soon = verify(text, route.issuers, nowMs)
    return soon instanceof Promise ? soon.then(held) : held(soon)
  }

/** The scheme is compared without regard to case (RFC 9110 §11.1), and one space follows it. */
const credentialOf = (
  authorization: string | undefined,
): Pick<Presented, 'scheme' | 'text'> | undefined => {
  if (authorization === undefined) return undefined
  const space = authorization.indexOf(' ')
  const scheme = space > 0 ? authorization.slice(0, space).toLowerCase() : ''
  const text = authorization.slice(space + 1)
  return (scheme === 'bearer' || scheme === 'dpop') && text !== '' ? { scheme, text } : undefined
}
