import { randomBytes } from 'node:crypto'
import { setTimeout as sleepFor } from 'node:timers/promises'

/** The only way production code learns the time of day, in milliseconds since 1970. For durations use `performance.now()`. */
export type Clock = () => number

/** The only source of chance, so that a test can fix it. */
export type RandomBytes = (count: number) => Buffer

/** Waits; ends early, without an error, when `signal` aborts. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>

export const systemClock: Clock = Date.now
export const systemRandomBytes: RandomBytes = (count) => randomBytes(count)
export const systemSleep: Sleep = (ms, signal) =>
  sleepFor(ms, undefined, { ref: false, ...(signal ? { signal } : {}) }).catch(() => {})

/** An instant as ISO 8601, for records. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()
