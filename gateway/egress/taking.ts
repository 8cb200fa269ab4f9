import type { AuditSink } from '#contract/audit-event'
import type { Clock, RandomBytes } from '#contract/clock'
import type { EgressDecision } from '#contract/egress'
import type { Problem } from '#contract/problem'
import { defaultBodyLimits } from '#http/body'
import type { Way } from '../compose.ts'
import type { LiveTable } from '../live.ts'
import type { EgressFigures } from './figures.ts'
import type { InspectedAdmitted } from './inspection/pipeline.ts'
import type { InspectedReceived } from './inspection/tunnel.ts'
import type { EgressParts } from './parts.ts'
import type { Admitted } from './pipeline.ts'
import type { EgressReceived } from './received.ts'

/** What serves one request, of the configuration that is current when it comes. */
export type Serving = {
  readonly way: Way<EgressReceived, Admitted>
  /** Of what comes through a tunnel that is looked into. */
  readonly inspected: Way<InspectedReceived, InspectedAdmitted>
  readonly parts: EgressParts
  /** The request is over. */
  readonly leave: () => void
}

export type Taking = {
  /** Undefined once the configuration has no way out any more. */
  readonly enter: () => Serving | undefined
  readonly live: LiveTable
  readonly audit: AuditSink
  readonly figures: EgressFigures
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Told of every failure that is a bug of ours, with its stack. */
  readonly bug: (decisionId: string, step: string, cause: unknown) => void
}

export const closed: Problem = { tag: 'draining', detail: 'Nobody goes out through here any more.' }

/** The limit on the size is the configuration's; it is applied when the body is taken. Nothing is read before. */
export const bodyLimits = { ...defaultBodyLimits, maxBodyBytes: Number.MAX_SAFE_INTEGER }

const defaultIdleMs = 300_000

export const idleMsOf = ({ limits }: EgressParts, { rule }: EgressDecision): number => {
  const limit = limits.get(rule)
  return limit ? limit.idleSeconds * 1000 : defaultIdleMs
}
