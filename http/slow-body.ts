import type { Problem } from '#contract/problem'

export type SlownessLimits = {
  /** Time that may be spent waiting for the caller's bytes, back-pressure of the upstream not counted. 0: no limit. */
  readonly maxWaitMs: number
  /** Slower than this is too slow, once it was waited for `slowGraceMs`. 0: no limit. */
  readonly minBytesPerSecond: number
  readonly slowGraceMs: number
}

const checkEveryMs = 250

/** A stop-watch for one body that runs only while its caller is waited for. */
export type SlownessWatch = {
  readonly waiting: () => void
  readonly notWaiting: () => void
  readonly stop: () => void
}

/** @param fail Told once or more often with `request-timeout`, until `stop`. */
export const slownessWatch = (
  { maxWaitMs, minBytesPerSecond, slowGraceMs }: SlownessLimits,
  receivedBytes: () => number,
  fail: (problem: Problem) => void,
): SlownessWatch => {
  let timer: NodeJS.Timeout | undefined
  let waitedMs = 0
  let since: number | undefined

  const total = () => waitedMs + (since === undefined ? 0 : performance.now() - since)
  const check = () => {
    const ms = total()
    if (maxWaitMs > 0 && ms >= maxWaitMs)
      fail({ tag: 'request-timeout', cause: `waited ${Math.round(ms)} ms for the body` })
    else if (ms > slowGraceMs && receivedBytes() < (minBytesPerSecond * ms) / 1000)
      fail({ tag: 'request-timeout', cause: `less than ${minBytesPerSecond} bytes a second` })
  }
  return {
    waiting: () => {
      since ??= performance.now()
      timer ??= setInterval(check, checkEveryMs).unref()
    },
    notWaiting: () => {
      waitedMs = total()
      since = undefined
    },
    stop: () => {
      clearInterval(timer)
      timer = undefined
    },
  }
}
