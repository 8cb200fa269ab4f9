import type { RandomBytes } from '#contract/clock'

const bytesOfOne = 16
const drawnAtATime = 64

/** Makes decision ids, 32 hex digits each. They are drawn and written several at a time: one by one they cost four times as much. */
export const decisionIds = (randomBytes: RandomBytes): (() => string) => {
  const chars = 2 * bytesOfOne
  let drawn = ''
  let at = 0
  return () => {
    if (at === drawn.length) {
      drawn = randomBytes(bytesOfOne * drawnAtATime).toString('hex')
      at = 0
    }
    at += chars
    return drawn.slice(at - chars, at)
  }
}
