import type { Problem, Result } from '#contract/problem'
import type { QuarantineJudge } from '#contract/quarantine'
import type { Workload } from './identify.ts'
import type { EgressReceived } from './received.ts'

/** What a quarantine goes by on the way out; the workload once it is known. */
export type QuarantineFacts = Pick<EgressReceived, 'peer' | 'nowMs'> & {
  readonly workload?: Workload
}

/** Refuses with `quarantined` by address, client certificate, SPIFFE ID, and by the token and the key of a JWT-SVID. */
export const quarantinedOut = (
  { where, who }: QuarantineJudge,
  { peer, workload, nowMs }: QuarantineFacts,
): Result<void> => {
  const { address, certificateSha256 } = peer
  const here = where({ address, peerAddress: address, certificateSha256, route: undefined }, nowMs)
  return here.ok && workload ? who(identityOf(workload), nowMs) : here
}

/** The same of something open, by as much as is known of it now. */
export const quarantinedOutNow = (
  judge: QuarantineJudge,
  facts: QuarantineFacts,
  nowMs: number,
): Problem | undefined => {
  const verdict = quarantinedOut(judge, { ...facts, nowMs })
  return verdict.ok ? undefined : verdict.problem
}

/** A workload is of the mesh: no issuer that a configuration names vouches for it. No entry is about an empty name. */
const identityOf = ({ spiffeId, token }: Workload) => ({
  issuerName: '',
  issuer: '',
  subject: spiffeId,
  kid: token?.kid ?? '',
  jti: token?.jti,
  issuedAtMs: token?.issuedAtMs,
  spiffeId,
})
