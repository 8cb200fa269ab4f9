import type { ConnectFault } from './connecting.ts'

/** Keeps an upstream that cannot be reached from being tried at the rate of its callers. */
export type Backoff = {
  /** Why nothing is tried at the moment; undefined if something may be. */
  readonly reason: (nowMs: number) => ConnectFault | undefined
  readonly failed: (fault: ConnectFault, nowMs: number) => void
  readonly succeeded: () => void
}

/** Pauses of `firstMs`, doubled with each failure up to `longestMs`. */
export const backoff = (firstMs: number, longestMs: number): Backoff => {
  let pauseMs = 0
  let untilMs = 0
  let last: ConnectFault | undefined
  return {
    reason: (nowMs) => (nowMs < untilMs ? last : undefined),
    failed: (fault, nowMs) => {
      pauseMs = pauseMs === 0 ? firstMs : Math.min(longestMs, pauseMs * 2)
      untilMs = nowMs + pauseMs
      last = fault
    },
    succeeded: () => {
      pauseMs = 0
      untilMs = 0
    },
  }
}
