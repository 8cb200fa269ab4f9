import type { LegacyEvidence, LegacyMethod } from '#contract/legacy'
import { pass, refuse, type Result } from '#contract/problem'
import { headerOf, type RequestHead } from '#contract/request-head'
import { secret, type Secret } from '#contract/secret'
import type { Soon, Step } from '#contract/step'
import type { VerifiedToken, VerifyToken } from '#identity/jwt/verified-token'
import type { LegacyIdentities } from '../legacy-identities.ts'
import type { Mint } from '../mint-cache.ts'
import type { CompiledRoute } from './compiled-route.ts'
import { challengesOf, legacyEvidenceOf, legacyIdentity } from './legacy-credential.ts'
import type { Received } from './received.ts'
import { boundChallenge, checkHolder, type HolderParts, type Presented } from './token-holder.ts'

/** Who calls, as far as the credential says. */
export type Caller =
  | { readonly kind: 'token'; readonly token: VerifiedToken; readonly bearer: Secret<string> }
  /** Of whom the exchange has said who it is. */
  | { readonly kind: 'legacy'; readonly method: LegacyMethod; readonly mint: Mint }
  | { readonly kind: 'anonymous' }

type Needs = Received & {
  readonly head: RequestHead
  readonly route: CompiledRoute
}

export type AuthenticateParts = {
  readonly verify: VerifyToken
  readonly holder: HolderParts
  readonly legacy: LegacyIdentities
}

const anonymous: Caller = Object.freeze({ kind: 'anonymous' })
const challenge = { 'WWW-Authenticate': 'Bearer' }

/**
 * Turns the token of a request into a caller, or another credential where the route takes such, from the head alone: no
 * body is read for a stranger.
 *
 * @returns A step refusing with `token-missing` or `credential-missing`, or whatever `verify`, `checkHolder` and
 *   `legacyIdentity` refuse with.
 * @see RFC 6750 §2.1, RFC 7519 §7.2, RFC 9449 §7.1
 */
export const authenticate =
  ({ verify, holder, legacy }: AuthenticateParts): Step<Needs, Caller> =>
  (request) => {
    const { head, route, peer, nowMs } = request
    if (!route.issuers) return pass(anonymous)
    if (route.legacy) {
      const shown = legacyEvidenceOf(request, route.legacy)
      if (!shown.ok) return shown
      if (shown.value) return legacyCaller(shown.value, request, legacy)
    }
    const credential =
      route.issuers.size > 0 ? credentialOf(headerOf(head, 'authorization')) : undefined
    if (credential === undefined)
      return route.legacy
        ? refuse('credential-missing', { headers: challengesOf(route) })
        : refuse('token-missing', { headers: route.mustBeBound ? boundChallenge : challenge })
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

const legacyCaller = (
  evidence: LegacyEvidence,
  request: Needs,
  legacy: LegacyIdentities,
): Soon<Result<Caller>> => {
  const { method } = evidence
  const known = (result: Result<Mint>): Result<Caller> =>
    result.ok ? pass({ kind: 'legacy', method, mint: result.value }) : result
  const soon = legacyIdentity(evidence, request, legacy)
  return soon instanceof Promise ? soon.then(known) : known(soon)
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
