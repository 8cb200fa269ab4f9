import type { Body } from '#http/body'
import type { Peer } from '#http/peer'
import type { RawHead } from '#http/raw-gate'
import type { Door } from '../answer.ts'
import type { RequestTrace } from './request-trace.ts'

/** All that is known of a request before the first step. */
export type Received = {
  readonly door: Door
  /** As Node's parser delivered it; only the first step reads it. */
  readonly raw: RawHead
  /** Bytes that came right behind the request at the doors of upgrades and tunnels. */
  readonly early?: Buffer
  /** Other end of the connection. */
  readonly peer: Peer
  /** The instant by which every check of this request goes. */
  readonly nowMs: number
  /** In the answer, the record and what the exchange is asked. */
  readonly decisionId: string
  readonly body: Body
  /** Where traces are taken. */
  readonly trace?: RequestTrace | undefined
}
