/** A token bucket: so many at once, so many a second. Time is given, in milliseconds, by whoever asks. */
export type Budget = {
  /** Takes one; false if there is none. */
  readonly take: (nowMs: number) => boolean
  /** Gives some back, up to the burst. */
  readonly give: (count: number) => void
}

export const budget = (burst: number, perSecond: number): Budget => {
  let left = burst
  let atMs = -1
  return {
    take: (nowMs) => {
      if (atMs >= 0) left = Math.min(burst, left + ((nowMs - atMs) / 1000) * perSecond)
      atMs = nowMs
      if (left < 1) return false
      left--
      return true
    },
    give: (count) => {
      left = Math.min(burst, left + count)
    },
  }
}
