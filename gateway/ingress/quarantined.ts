import { admitted, type Problem } from '#contract/problem'
import type { QuarantineJudge } from '#contract/quarantine'
import type { Guard } from '#contract/step'
import type { Origin } from '#http/forwarded'
import type { Peer } from '#http/peer'
import type { Caller } from './authenticate.ts'
import type { CompiledRoute } from './compiled-route.ts'
import type { Subject } from './identify.ts'
import type { Received } from './received.ts'

type Where = Pick<Received, 'peer' | 'nowMs'> & {
  readonly origin: Origin
  readonly route: CompiledRoute
}
type Who = Pick<Received, 'nowMs'> & { readonly caller: Caller; readonly subject: Subject | null }

/** Refuses with `quarantined` by what is known before anybody has to say who they are: address, route, client certificate. */
export const quarantinedHere =
  ({ where }: QuarantineJudge): Guard<Where> =>
  ({ peer, origin, route, nowMs }) =>
    where(placeOf(peer, origin, route), nowMs)

/** Refuses with `quarantined` by what a token and the mapping say: issuer, subject, token, key, SPIFFE ID. */
export const quarantinedCaller =
  ({ who }: QuarantineJudge): Guard<Who> =>
  ({ caller, subject, nowMs }) =>
    caller.kind === 'token' ? who(identityOf(caller, subject ?? undefined), nowMs) : admitted

/** The same of something open, by as much as is known of it now; what it learns later, the guards judge. */
export const quarantinedNow = (
  { where, who }: QuarantineJudge,
  { peer, origin, route, caller, subject }: Partial<Where & Who> & Pick<Received, 'peer'>,
  nowMs: number,
): Problem | undefined => {
  const here = where(placeOf(peer, origin, route), nowMs)
  if (!here.ok) return here.problem
  if (caller?.kind !== 'token') return undefined
  const known = who(identityOf(caller, subject ?? undefined), nowMs)
  return known.ok ? undefined : known.problem
}

const placeOf = (peer: Peer, origin: Origin | undefined, route: CompiledRoute | undefined) => ({
  address: origin?.address ?? peer.address,
  peerAddress: peer.address,
  certificateSha256: peer.certificateSha256,
  route: route?.id,
})

const identityOf = (
  { token }: Extract<Caller, { kind: 'token' }>,
  subject: Subject | undefined,
) => ({
  issuerName: token.issuerName,
  issuer: token.issuer,
  subject: token.subject,
  kid: token.kid,
  jti: token.jti,
  issuedAtMs: token.issuedAtMs,
  spiffeId: subject?.spiffeId,
})
