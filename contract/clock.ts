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
/**
 * The same chance, drawn in larger portions: asking the system for 16 bytes costs 4 to 8 µs, and a request does. What was
 * given out is wiped here at once. Not for keys.
 *
 * @param poolBytes Drawn at a time; whoever wants more at once gets it from the source itself.
 */
export const pooledRandomBytes = (source: RandomBytes, poolBytes = 4096): RandomBytes => {
  let pool: Buffer = Buffer.alloc(0)
  let at = 0
  return (count) => {
    if (count > poolBytes) return source(count)
    if (at + count > pool.length) {
      pool = source(poolBytes)
      at = 0
    }
    const given = Buffer.from(pool.subarray(at, at + count))
    pool.fill(0, at, at + count)
    at += count
    return given
  }
}

export const systemSleep: Sleep = (ms, signal) =>
  sleepFor(ms, undefined, { ref: false, ...(signal ? { signal } : {}) }).catch(() => {})

/** A clock that is kept by others goes back a little now and then. */
const setBackMs = 10_000

/**
 * Whether something can have happened at `atMs`. If not, the clock was set back since, and what was reckoned from then on is
 * worth nothing: it would be kept for longer than was meant, or is not good yet.
 */
export const isPast = (atMs: number, nowMs: number): boolean => atMs <= nowMs + setBackMs

/** An instant as ISO 8601, for records. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()

/** The same for records of one time after the other: what is written of a second is written once. */
export const isoTimes = (): ((ms: number) => string) => {
  let second = Number.NaN
  let beginning = ''
  return (ms) => {
    const part = ms % 1000
    if (ms - part !== second) {
      second = ms - part
      beginning = isoTime(second).slice(0, -'000Z'.length)
    }
    const end = ends[part]
    return end === undefined ? isoTime(ms) : beginning + end
  }
}

const ends = Array.from({ length: 1000 }, (_, ms) => `${String(ms).padStart(3, '0')}Z`)
