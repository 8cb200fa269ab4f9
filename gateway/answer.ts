import type { Problem } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { Outcome, Watch, Way } from './compose.ts'
import type { Open } from './live.ts'

export type Door = 'request' | 'upgrade' | 'connect'

/** What went over the wire in the end. */
export type Sent = {
  readonly status: number
  readonly bytesOut: number
  readonly grpcStatus?: number
  /** Where the caller sent more than a body: through an upgraded connection. */
  readonly bytesIn?: number
  readonly problem?: Problem
}

/** One caller's exchange with us, whichever door it came by. */
export type Exchange<From, Known> = {
  readonly received: From
  /**
   * Passes it on. Says what was sent once the last byte is through, one way or the other: to `end`, or by a promise, which
   * would cost every request where it is not needed.
   *
   * @param end Told once; more often it does nothing. Throws for a bug of ours.
   */
  readonly send: (request: Known, end: (sent: Sent) => void) => Promise<Sent> | void
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
  /** Gives back the configuration that serves it. Called exactly once. */
  readonly leave: () => void
  /** Leaves the record and the figures. Called exactly once; must not throw. */
  readonly record: (ending: Ending<From, Known>) => void
  readonly watch?: Watch | undefined
}

/** Runs an exchange along a way, replies, and leaves exactly one record, whatever happens. At once, unless a step waits. */
export const answer = <From extends object, Known extends From>(
  way: Way<From, Known>,
  exchange: Exchange<From, Known>,
  around: Around<From, Known>,
): Soon<void> => {
  const beganMs = performance.now()
  const closeLive = around.open({ facts: exchange.received, cut: exchange.cut })
  const close = () => {
    closeLive()
    around.leave()
  }
  const outcome = way.run(exchange.received, around.watch)
  return outcome instanceof Promise
    ? outcome.then((known) => conclude(exchange, around, known, beganMs, close))
    : conclude(exchange, around, outcome, beganMs, close)
}

const conclude = <From extends object, Known extends From>(
  { received, send, refuse }: Exchange<From, Known>,
  { record, watch }: Around<From, Known>,
  outcome: Outcome<From, Known>,
  beganMs: number,
  close: () => void,
): Soon<void> => {
  const forwardingMs = performance.now()
  let isOver = false
  const end = (sent: Sent) => {
    if (isOver) return
    isOver = true
    close()
    const endedMs = performance.now()
    if (outcome.ok) watch?.(forwardStep, endedMs - forwardingMs)
    const step = outcome.ok ? (sent.problem ? forwardStep : 'none') : outcome.at
    record({ facts: received, step, sent, durationMs: endedMs - beganMs })
  }
  /** With the problem that it was cut for before, if it was. */
  const refused = (problem: Problem): Sent => {
    try {
      return { problem, ...refuse(problem) }
    } catch (cause) {
      close()
      throw cause
    }
  }
  const broke = (cause: unknown) => refused({ tag: 'internal', cause })
  if (!outcome.ok) return end(refused(outcome.problem))
  try {
    return send(outcome.request, end)?.then(end, (cause: unknown) => end(broke(cause)))
  } catch (cause) {
    return end(broke(cause))
  }
}
