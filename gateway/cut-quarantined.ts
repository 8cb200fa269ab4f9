import type { Clock } from '#contract/clock'
import type { Quarantine } from '#contract/quarantine'
import type { Listener } from '#http/listen'
import { quarantinedOutNow, type QuarantineFacts } from './egress/quarantined.ts'
import type { EgressRunning } from './egress/run.ts'
import { quarantinedNow } from './ingress/quarantined.ts'
import type { Received } from './ingress/received.ts'
import type { LiveTable } from './live.ts'

export type Cutting = {
  readonly quarantine: Quarantine
  /** What is open on the way in. */
  readonly live: LiveTable
  readonly listener: Pick<Listener, 'cutIdle'>
  /** What is open on the way out; undefined where there is none. */
  readonly egress: Pick<EgressRunning, 'live' | 'cutIdle'> | undefined
  readonly clock: Clock
}

/**
 * Whenever an entry comes into force, ends what is open and that it is about: requests, upgraded connections and tunnels,
 * each with its record, then connections that only wait for a request.
 *
 * @returns How to stop that.
 */
export const cutQuarantined = ({
  quarantine,
  live,
  listener,
  egress,
  clock,
}: Cutting): (() => void) =>
  quarantine.onAdded(() => {
    const nowMs = clock()
    const { open } = quarantine
    live.sweep((facts) => quarantinedNow(open, facts as Received, nowMs))
    listener.cutIdle((peer) => quarantinedNow(open, { peer }, nowMs) !== undefined)
    egress?.live.sweep((facts) => quarantinedOutNow(open, facts as QuarantineFacts, nowMs))
    egress?.cutIdle((peer) => quarantinedOutNow(open, { peer, nowMs }, nowMs) !== undefined)
  })
