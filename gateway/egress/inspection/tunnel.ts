import type { Peer } from '#http/peer'
import type { EgressDecision } from '#contract/egress'
import type { UpgradingClient } from '../../upstream/undici-client.ts'
import type { Authority } from '../authority.ts'
import type { ClientCertificate } from '../client-certificate.ts'
import type { Workload } from '../identify.ts'
import type { EgressReceived } from '../received.ts'

/** A tunnel that is looked into: what its CONNECT has proved, which holds for all that comes through it. */
export type InspectedTunnel = {
  /** Of its CONNECT. */
  readonly decisionId: string
  readonly authority: Authority
  readonly peer: Peer
  readonly certificate: ClientCertificate
  readonly workload: Workload
  /** To its destination alone. */
  readonly client: UpgradingClient
  /** Aborts when it ends. */
  readonly gone: AbortSignal
  /** Told by what each of its requests was let through: connections that are made later go by that. */
  readonly decided: (decision: EgressDecision) => void
}

export type InspectedReceived = EgressReceived & {
  readonly tunnel: InspectedTunnel
  /** What came right behind a request to upgrade. */
  readonly early?: Buffer
}
