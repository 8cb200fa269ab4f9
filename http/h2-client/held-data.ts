const blockBytes = 16_384

/**
 * Data that arrived while its reader had paused. Small parts are put together, so that a peer which sends single octets
 * cannot make an object of each.
 */
export type HeldData = {
  /** Copies from `start` to `end`. */
  readonly add: (bytes: Buffer, start: number, end: number) => void
  /** The oldest part, now the taker's; undefined if nothing is held. */
  readonly take: () => Buffer | undefined
  readonly bytes: () => number
}

export const heldData = (): HeldData => {
  const whole: Buffer[] = []
  let open: Buffer | undefined
  let filled = 0
  let bytesHeld = 0

  const shut = () => {
    if (open !== undefined && filled > 0) whole.push(open.subarray(0, filled))
    open = undefined
    filled = 0
  }

  return {
    add: (bytes, start, end) => {
      if (open === undefined || end - start > open.length - filled) {
        shut()
        open = Buffer.allocUnsafeSlow(Math.max(blockBytes, end - start))
      }
      filled += bytes.copy(open, filled, start, end)
      bytesHeld += end - start
    },
    take: () => {
      if (whole.length === 0) shut()
      const oldest = whole.shift()
      bytesHeld -= oldest?.length ?? 0
      return oldest
    },
    bytes: () => bytesHeld,
  }
}
