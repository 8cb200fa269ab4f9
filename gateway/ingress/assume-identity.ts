import { pass, refuse, type Result } from '#contract/problem'
import type { RequestHead } from '#contract/request-head'
import type { Step } from '#contract/step'
import { tokenTypes, type MintedToken } from '#contract/token-exchange'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import { parentOf, type Mint, type MintCache, type Parent } from '../mint-cache.ts'
import type { Caller } from './authenticate.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Subject } from './identify.ts'
import type { Received } from './received.ts'

type Needs = Received & {
  readonly head: RequestHead
  readonly route: CompiledRoute
  readonly caller: Caller
  readonly subject: Subject | null
}

/**
 * Swaps the outside token for a mesh identity, from the cache or the exchange. An anonymous caller gets none: null.
 *
 * @returns A step refusing with `identity-unavailable`, or with `identity-drift` when the exchange names another caller
 *   than the gateway's own mapping does: then the two run on different configurations.
 */
export const assumeIdentity = (mints: MintCache): Step<Needs, Mint | null> => {
  const parents = new WeakMap<VerifiedToken, Parent>()
  /** One of a token that comes again, as long as its subject is the same. */
  const parentFor = (token: VerifiedToken, { spiffeId }: Subject): Parent => {
    const known = token.comesAgain ? parents.get(token) : undefined
    if (known?.subject === spiffeId) return known
    const parent = parentOf(token, spiffeId)
    if (token.comesAgain) parents.set(token, parent)
    return parent
  }
  return (request) => {
    const { route, caller, subject, nowMs, decisionId, trace } = request
    if (caller.kind === 'anonymous' || !subject) return pass(null)
    if (caller.kind === 'legacy') return pass(caller.mint) // the exchange had to be asked who it is
    const tokenType =
      route.config.identity.token === 'jwt-svid' ? tokenTypes.jwt : tokenTypes.accessToken
    const soon = mints.take(
      parentFor(caller.token, subject),
      {
        subjectToken: caller.bearer,
        ...(caller.token.kid === ''
          ? { subjectIssuer: caller.token.issuer, subjectTokenType: tokenTypes.accessToken }
          : {}),
        audience: route.audience,
        requestedTokenType: tokenType,
        decisionId,
        ...(trace ? { traceParent: () => trace.headers(request)[1] } : {}),
      },
      nowMs,
    )
    const agreed = (result: Result<Mint>) => agree(result, subject)
    return soon instanceof Promise ? soon.then(agreed) : agreed(soon)
  }
}

const agree = (result: Result<Mint>, subject: Subject): Result<Mint> => {
  if (!result.ok || result.value.minted.subject === subject.spiffeId) return result
  return refuse('identity-drift', { cause: drift(result.value.minted, subject) })
}

const drift = (minted: MintedToken, subject: Subject) =>
  `the exchange minted ${minted.subject}, rule ${subject.rule} of the gateway says ${subject.spiffeId}`
