/** Those who wait for a place, first come, first served. */
export type WaitingLine = {
  /** Resolves with true when it is one's turn, with false when the line is full or the time is over. */
  readonly wait: () => Promise<boolean>
  /** A place has become free; false if nobody wants it. */
  readonly next: () => boolean
  readonly length: () => number
}

export const waitingLine = (maxWaiting: number, timeoutMs: number): WaitingLine => {
  const waiting = new Set<() => void>() // in the order in which they came
  return {
    wait: () =>
      waiting.size >= maxWaiting
        ? Promise.resolve(false)
        : new Promise((resolve) => {
            const leave = (isTurn: boolean) => {
              waiting.delete(called)
              clearTimeout(timer)
              resolve(isTurn)
            }
            const called = () => leave(true)
            const timer = setTimeout(() => leave(false), timeoutMs)
            waiting.add(called)
          }),
    next: () => {
      const [first] = waiting
      first?.()
      return first !== undefined
    },
    length: () => waiting.size,
  }
}
