import { pass, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Step } from '#contract/step'
import { oncePerToken } from '#identity/jwt/once-per-token'
import type { VerifiedToken } from '#identity/jwt/verified-token'
import type { Caller } from './authenticate.ts'

/** Who the caller is in the mesh, and the rule that says so. */
export type Subject = { readonly spiffeId: SpiffeId; readonly rule: string }

/**
 * Maps the caller to a SPIFFE ID by the rules that the exchange has, too; once a token that comes again. An anonymous caller has none: null.
 *
 * @returns A step refusing with `identity-unmapped` when no rule, or more than one, is for this caller.
 */
export const identify = (
  mapping: (token: VerifiedToken) => Result<Subject>,
): Step<{ readonly caller: Caller }, Subject | null> => {
  const mapped = oncePerToken(mapping)
  return ({ caller }) => (caller.kind === 'token' ? mapped(caller.token) : pass(subjectOf(caller)))
}

/** Of a legacy caller the exchange has said it. */
const subjectOf = (caller: Exclude<Caller, { kind: 'token' }>): Subject | null =>
  caller.kind === 'anonymous'
    ? null
    : { spiffeId: caller.mint.minted.subject, rule: `legacy ${caller.method}` }
