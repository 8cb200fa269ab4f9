/** A bucket that holds `burst` and gets `perSecond` back. */
export type Budget = {
  /** False if not so much was left. */
  readonly spend: (much?: number) => boolean
  readonly refill: () => void
}

export const budget = (burst: number, perSecond: number): Budget => {
  let left = burst
  let sinceMs = performance.now()
  return {
    spend: (much = 1) => {
      const nowMs = performance.now()
      left = Math.min(burst, left + ((nowMs - sinceMs) * perSecond) / 1000)
      sinceMs = nowMs
      if (left < much) return false
      left -= much
      return true
    },
    refill: () => {
      left = burst
    },
  }
}
