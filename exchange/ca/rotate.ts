import type { Lived, Slots } from './slots.ts'

export type RotationStep = 'prepare' | 'activate' | 'prune'

const hourMs = 3_600_000
const dayMs = 24 * hourMs

/**
 * What is due, given what there is and the time: nothing is done here. The numbers are SPIRE's: for a life of 24 hours the
 * next key is prepared when 12 are left, and signs when 4 are left.
 *
 * @param publishMs How long a prepared key must have been published before it may sign: several times the longest
 *   that anyone caches our keys. 0 for what travels with each signature.
 * @returns At most one of prepare and activate; ask again after it was done.
 */
export const dueSteps = <Key extends Lived>(
  slots: Slots<Key>,
  publishMs: number,
  nowMs: number,
): readonly RotationStep[] => {
  const steps: RotationStep[] = []
  if (slots.retired.some(({ publishedUntilMs }) => publishedUntilMs <= nowMs)) steps.push('prune')
  const nextIsUsable = slots.next !== undefined && slots.next.notAfterMs > nowMs
  if (!nextIsUsable) {
    if (leftMs(slots.active, nowMs) <= prepareAtMs(slots.active)) steps.push('prepare')
  } else if (leftMs(slots.active, nowMs) <= activateAtMs(slots.active)) {
    // An active key that is over is worse than one that some do not know yet.
    if (publishedForMs(slots, nowMs) >= publishMs || slots.active.notAfterMs <= nowMs)
      steps.push('activate')
  }
  return steps
}

/** How long the next key has been published; -1 if there is none. */
export const publishedForMs = <Key extends Lived>({ next }: Slots<Key>, nowMs: number): number =>
  next === undefined ? -1 : nowMs - next.createdAtMs

const lifeMs = (key: Lived) => key.notAfterMs - key.createdAtMs
const leftMs = (key: Lived, nowMs: number) => key.notAfterMs - nowMs
const prepareAtMs = (key: Lived) => Math.min(lifeMs(key) / 2, 30 * dayMs)
const activateAtMs = (key: Lived) => Math.min(lifeMs(key) / 6, 7 * dayMs)
