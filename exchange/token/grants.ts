import type { Grant as GrantConfig } from '#config/schema'
import { parseSpiffeId, type SpiffeId } from '#contract/spiffe-id'
import { anySpiffeIdPattern } from '#contract/spiffe-id-pattern'
import { oauthRefuse, grantedAs, type OAuthResult } from './oauth-error.ts'
import { isWithin } from './scope.ts'

export type GrantToken = GrantConfig['tokens'][number]

/** What somebody wants to have. */
export type Wanted = {
  /** `self`, or the name of a client. */
  readonly by: string
  readonly subject: SpiffeId
  readonly token: GrantToken
  /** Undefined for a certificate, which has none. */
  readonly audience: string | undefined
  readonly scopes: readonly string[]
}

/** What allowed it. */
export type Allowed = {
  readonly name: string
  readonly requires: Readonly<Record<string, unknown>>
  readonly scopes: readonly string[]
  readonly mayAct: (actor: SpiffeId) => boolean
}

/** One grant must allow all that is wanted: what two allow together none of them does. */
export type FindGrant = (wanted: Wanted) => OAuthResult<Allowed>

type Compiled = Allowed & {
  readonly isFor: (by: string, subject: SpiffeId) => boolean
  readonly tokens: ReadonlySet<GrantToken>
  readonly isAudience: (audience: string) => boolean
}

/**
 * Compiles the configuration's `grants`.
 *
 * @returns A function that refuses with `unauthorized_client`, `invalid_target` or `invalid_scope`: by what the grants
 *   that come nearest lack.
 */
export const grantsOf = (grants: readonly GrantConfig[]): FindGrant => {
  const compiled = grants.map(compile)
  return ({ by, subject, token, audience, scopes }) => {
    const own = compiled.filter((grant) => grant.isFor(by, subject) && grant.tokens.has(token))
    if (own.length === 0)
      return oauthRefuse(
        'unauthorized_client',
        'client-not-allowed',
        'no grant allows this client such a token for this subject',
        { cause: `${by}, ${token} for ${subject}` },
      )
    const there = audience === undefined ? own : own.filter((grant) => grant.isAudience(audience))
    if (there.length === 0)
      return oauthRefuse('invalid_target', 'target-refused', 'no grant allows this audience', {
        cause: audience,
      })
    const grant = there.find((one) => isWithin(scopes, one.scopes))
    return grant === undefined
      ? oauthRefuse('invalid_scope', 'scope-refused', 'no grant allows these scopes', {
          cause: scopes.join(' '),
        })
      : grantedAs(grant)
  }
}

const compile = (grant: GrantConfig): Compiled => {
  const isSubject = anySpiffeIdPattern(grant.subjects)
  const askers = new Set(grant.to)
  const exact = new Set(grant.audiences)
  const isPatternAudience = anySpiffeIdPattern(grant.audiences.filter((text) => text.includes('*')))
  return {
    name: grant.name,
    requires: grant.policy.requires,
    scopes: grant.scopes,
    tokens: new Set(grant.tokens),
    isFor: (by, subject) => askers.has(by) && isSubject(subject),
    mayAct: anySpiffeIdPattern(grant.actors),
    isAudience: (audience) => {
      if (exact.has(audience) && !audience.includes('*')) return true
      const id = parseSpiffeId(audience)
      return id.ok && isPatternAudience(id.value)
    },
  }
}
