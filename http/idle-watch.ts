/** Looks so often, as a share of the time. */
const looks = 4
const minIntervalMs = 20

/**
 * Tells when nothing has moved for so long.
 *
 * @param moved A number that grows whenever something moves.
 * @param idle Told once, unless `stop` came before; late by a quarter of the time at most.
 */
export const idleWatch = (
  timeoutMs: number,
  moved: () => number,
  idle: () => void,
): { readonly stop: () => void } => {
  let last = moved()
  let sinceMs = performance.now()
  const look = () => {
    const nowMs = performance.now()
    const now = moved()
    if (now !== last) {
      last = now
      sinceMs = nowMs
    } else if (nowMs - sinceMs >= timeoutMs) {
      clearInterval(timer)
      idle()
    }
  }
  const timer = setInterval(look, Math.max(minIntervalMs, timeoutMs / looks))
  return { stop: () => clearInterval(timer) }
}
