import type { Problem } from '#contract/problem'
import type { Watch, Way } from './compose.ts'
import type { Open } from './live.ts'

export type Door = 'request' | 'upgrade' | 'connect'

/** What went over the wire in the end. */
export type Sent = {
  readonly status: number
  readonly bytesOut: number
  /** Where the caller sent more than a body: through an upgraded connection. */
  readonly bytesIn?: number
  readonly problem?: Problem
}

/** One caller's exchange with us, whichever door it came by. */
export type Exchange<From, Known> = {
  readonly received: From
  /** Passes it on and resolves once the last byte is through, one way or the other. */
  readonly send: (request: Known) => Promise<Sent>
  /** Writes the refusal, if one can still be written; else ends the connection. */
  readonly refuse: (problem: Problem) => Sent
  readonly cut: Open['cut']
}

/** How it ended, for the record: facts as far as they were learned. */
export type Ending<From, Known> = {
  readonly facts: From & Partial<Known>
  /** The step that stopped it; `forward` when that was on the way to the service or back; `none` if nothing did. */
  readonly step: string
  readonly sent: Sent
  readonly durationMs: number
}

/** Comes after the steps of every way, and is timed like one of them. */
export const forwardStep = 'forward'

export type Around<From, Known> = {
  /** Enters it into the live table; returns how to take it out. */
  readonly open: (open: Open) => () => void
  /** Leaves the record and the figures. Called exactly once; must not throw. */
  readonly record: (ending: Ending<From, Known>) => void
  readonly watch?: Watch
}

/** Runs an exchange along a way, replies, and leaves exactly one record, whatever happens. Never rejects. */
export const answer = async <From extends object, Known extends From>(
  way: Way<From, Known>,
  exchange: Exchange<From, Known>,
  { open, record, watch }: Around<From, Known>,
): Promise<void> => {
  const began = performance.now()
  const close = open({ facts: exchange.received, cut: exchange.cut })
  const outcome = await way.run(exchange.received, watch)
  const forwarding = performance.now()
  let sent: Sent
  try {
    sent = outcome.ok
      ? await exchange.send(outcome.request)
      : { problem: outcome.problem, ...exchange.refuse(outcome.problem) } // it may have been cut for another before
  } catch (cause) {
    const problem: Problem = { tag: 'internal', cause }
    sent = { problem, ...exchange.refuse(problem) }
  } finally {
    close()
  }
  const ended = performance.now()
  if (outcome.ok) watch?.(forwardStep, ended - forwarding)
  const step = outcome.ok ? (sent.problem ? forwardStep : 'none') : outcome.at
  record({ facts: exchange.received, step, sent, durationMs: ended - began })
}
