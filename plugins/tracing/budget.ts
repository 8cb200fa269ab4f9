/**
 * Lets so many through in a second, and no more than that at once.
 *
 * @param nowMs Of a clock that only goes forward.
 * @returns Whether there is room for one more.
 */
export const perSecond = (many: number, nowMs: () => number): (() => boolean) => {
  let left = many
  let at = nowMs()
  return () => {
    const now = nowMs()
    left = Math.min(many, left + ((now - at) / 1000) * many)
    at = now
    if (left < 1) return false
    left -= 1
    return true
  }
}
