import { admitted, type Problem } from '#contract/problem'
import type { QuarantineJudge, WhoCalls } from '#contract/quarantine'
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
    caller.kind === 'anonymous' ? admitted : who(identityOf(caller, subject ?? undefined), nowMs)

/** The same of something open, by as much as is known of it now; what it learns later, the guards judge. */
export const quarantinedNow = (
  { where, who }: QuarantineJudge,
  { peer, origin, route, caller, subject }: Partial<Where & Who> & Pick<Received, 'peer'>,
  nowMs: number,
): Problem | undefined => {
  const here = where(placeOf(peer, origin, route), nowMs)
  if (!here.ok) return here.problem
  if (caller === undefined || caller.kind === 'anonymous') return undefined
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
  caller: Exclude<Caller, { kind: 'anonymous' }>,
  subject: Subject | undefined,
): WhoCalls =>
  caller.kind === 'legacy'
    ? legacyOf(caller)
    : {
        issuerName: caller.token.issuerName,
        issuer: caller.token.issuer,
        subject: caller.token.subject,
        kid: caller.token.kid,
        jti: caller.token.jti,
        issuedAtMs: caller.token.issuedAtMs,
        spiffeId: subject?.spiffeId,
      }

/** No issuer and no outside subject; its credential was issued nobody knows when. */
const legacyOf = ({ mint: { minted } }: Extract<Caller, { kind: 'legacy' }>): WhoCalls => ({
  issuerName: '',
  issuer: '',
  subject: '',
  kid: minted.kid,
  jti: minted.jti,
  issuedAtMs: undefined,
  spiffeId: minted.subject,
})
