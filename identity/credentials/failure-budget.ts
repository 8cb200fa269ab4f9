import { createHmac } from 'node:crypto'
import type { Clock, RandomBytes } from '#contract/clock'

/** How often somebody may fail to prove who it is before nobody looks any more. */
export type FailureBudget = {
  /** Milliseconds until a proof is looked at again; 0 for now. */
  readonly waitMs: (key: string) => number
  readonly failed: (key: string) => void
}

const slots = 8192

/**
 * Counts failures in fixed slots, which a salted hash picks: bounded whatever keys come, and nobody can choose to share a
 * slot with another.
 */
export const failureBudget = (
  { failures, windowSeconds }: { readonly failures: number; readonly windowSeconds: number },
  clock: Clock,
  randomBytes: RandomBytes,
): FailureBudget => {
  const salt = randomBytes(32)
  const counts = new Uint32Array(slots)
  const endsMs = new Float64Array(slots)
  const slotOf = (key: string) =>
    createHmac('sha256', salt).update(key).digest().readUInt32LE(0) % slots
  return {
    waitMs: (key) => {
      const slot = slotOf(key)
      const leftMs = (endsMs[slot] ?? 0) - clock()
      return leftMs > 0 && (counts[slot] ?? 0) >= failures ? leftMs : 0
    },
    failed: (key) => {
      const slot = slotOf(key)
      const nowMs = clock()
      const isOver = (endsMs[slot] ?? 0) <= nowMs
      if (isOver) endsMs[slot] = nowMs + windowSeconds * 1000
      counts[slot] = isOver ? 1 : (counts[slot] ?? 0) + 1
    },
  }
}
