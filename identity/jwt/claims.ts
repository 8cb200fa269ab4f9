import { pass, type Refusal, type Result } from '#contract/problem'
import type { Issuer } from '#config/schema'
import { quotable, refuseToken } from './challenge.ts'
import { isConfirmation } from './confirmation.ts'
import type { JsonObject } from '../json-strict.ts'

/** The claims that every token has, with their types made sure of. */
export type StandardClaims = {
  readonly subject: string
  readonly audiences: readonly string[]
  readonly jti: string | undefined
}

/** If they are there at all, they are strings: code further on compares and records them (RFC 7519 §4.1, RFC 9068 §2.2). */
const stringClaims = ['jti', 'client_id', 'azp', 'scope'] as const

/**
 * Reads the claims that do not change their meaning with time.
 *
 * `sub` is required whatever `requiredClaims` says, for limits, quarantine and records go by it. What a token is bound to
 * (`cnf`) must be understood: taken as a bearer token it would be worth to a thief what it is to its owner. Who takes the
 * token checks that its bearer holds that (`confirmationOf`; RFC 9449 §7.1, RFC 8705 §3).
 *
 * @returns Refuses with `token-claim-missing`, `token-claim-invalid` or `token-audience-wrong`.
 */
export const readStandardClaims = (
  claims: JsonObject,
  options: Pick<Issuer, 'audiences' | 'requiredClaims'>,
): Result<StandardClaims> => {
  const { sub, aud, jti, cnf } = claims
  if (sub === undefined) return missing('sub')
  if (typeof sub !== 'string' || sub === '') return invalid('sub')
  for (const name of stringClaims)
    if (claims[name] !== undefined && typeof claims[name] !== 'string') return invalid(name)
  if (cnf !== undefined && !isConfirmation(cnf)) return invalid('cnf')
  for (const name of options.requiredClaims)
    if (!Object.hasOwn(claims, name) || claims[name] === null) return missing(name)
  if (aud === undefined) return missing('aud')
  const audiences = typeof aud === 'string' ? [aud] : aud
  if (!isListOfStrings(audiences) || audiences.length === 0) return invalid('aud')
  if (!audiences.some((audience) => options.audiences.includes(audience)))
    return refuseToken('token-audience-wrong', 'The token is meant for another audience')
  return pass({
    subject: sub,
    audiences: Object.freeze([...audiences]),
    jti: typeof jti === 'string' ? jti : undefined,
  })
}

const isListOfStrings = (value: unknown): value is readonly string[] =>
  Array.isArray(value) && value.every((entry) => typeof entry === 'string')

const missing = (claim: string): Refusal =>
  refuseToken('token-claim-missing', `The token has no ${quotable(claim)}`)

const invalid = (claim: string): Refusal =>
  refuseToken('token-claim-invalid', `The ${claim} of the token is not what it must be`)
