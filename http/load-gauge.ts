import { monitorEventLoopDelay } from 'node:perf_hooks'
import { memoryUsage } from 'node:process'
import { admitted, refuse, type Result } from '#contract/problem'

export type LoadLimits = {
  /** Mean delay of the event loop, in milliseconds, above which requests are refused. 0: no limit. */
  readonly maxEventLoopDelayMs: number
  /** Resident memory above which requests are refused. 0: no limit. */
  readonly maxMemoryBytes: number
  /** Requests that may be under way. 0: no limit. */
  readonly maxInFlight: number
}

export type Load = { readonly eventLoopDelayMs: number; readonly memoryBytes: number }

export type LoadGauge = {
  /** A guard for the first place of a way: refuses with `overloaded` and Retry-After. What is our own, health among it, does not come by it. */
  readonly guard: () => Result<void>
  /** As last measured. */
  readonly load: () => Load
  readonly stop: () => void
}

const sampleEveryMs = 500
const resolutionMs = 10
const nanosecondsInMs = 1e6

/**
 * Measures how busy this process is, so that it refuses early what it could only answer late. Work that is admitted
 * keeps its speed, and the refusals cost little.
 *
 * @param inFlight How many requests are under way now.
 */
export const loadGauge = (limits: LoadLimits, inFlight: () => number): LoadGauge => {
  const delays = monitorEventLoopDelay({ resolution: resolutionMs })
  delays.enable()
  let load: Load = { eventLoopDelayMs: 0, memoryBytes: 0 }
  let verdict: Result<void> = admitted

  const sample = () => {
    // The histogram holds whole intervals; what exceeds the resolution is the delay. It is NaN while nothing was measured.
    const meanMs = delays.mean / nanosecondsInMs - resolutionMs
    delays.reset()
    load = {
      eventLoopDelayMs: Number.isFinite(meanMs) ? Math.max(0, meanMs) : load.eventLoopDelayMs,
      memoryBytes: memoryUsage.rss(),
    }
    verdict = judge(load, limits)
  }
  const timer = setInterval(sample, sampleEveryMs).unref()

  return {
    guard: () => {
      if (limits.maxInFlight > 0 && inFlight() > limits.maxInFlight)
        return overloaded(`more than ${limits.maxInFlight} requests under way`)
      return verdict
    },
    load: () => load,
    stop: () => {
      clearInterval(timer)
      delays.disable()
    },
  }
}

const judge = (
  { eventLoopDelayMs, memoryBytes }: Load,
  { maxEventLoopDelayMs, maxMemoryBytes }: LoadLimits,
): Result<void> => {
  if (maxEventLoopDelayMs > 0 && eventLoopDelayMs > maxEventLoopDelayMs)
    return overloaded(
      `the event loop is ${Math.round(eventLoopDelayMs)} ms late, allowed are ${maxEventLoopDelayMs}`,
    )
  if (maxMemoryBytes > 0 && memoryBytes > maxMemoryBytes)
    return overloaded(`${memoryBytes} bytes of memory in use, allowed are ${maxMemoryBytes}`)
  return admitted
}

const overloaded = (cause: string) =>
  refuse('overloaded', { cause, headers: { 'retry-after': '1' } })
