import type { Body } from '#http/body'
import type { Peer } from '#http/peer'
import type { RawHead } from '#http/raw-gate'
import type { Door } from '../answer.ts'
import type { ClientCertificate } from './client-certificate.ts'

/** All that is known of what a workload asks for before the first step. */
export type EgressReceived = {
  readonly door: Door
  /** As Node's parser delivered it; only the first step reads it. */
  readonly raw: RawHead
  readonly peer: Peer
  /** What the other end has shown in its TLS handshake. */
  readonly certificate: ClientCertificate
  /** The instant by which every check goes. */
  readonly nowMs: number
  readonly decisionId: string
  readonly body: Body
  /** What came right behind a request to upgrade. */
  readonly early?: Buffer
  /** Aborts when the caller leaves. */
  readonly gone: AbortSignal
}
