const busyMs = 100

/** Calls a function often while there is something to watch, and rarely while there is not. */
export type Ticker = {
  /** There is something to watch from now on. */
  readonly wake: () => void
  readonly stop: () => void
}

/**
 * @param tick Told `performance.now()`; says whether there still is something to watch.
 * @param idleMs Between two calls while there is not.
 */
export const newTicker = (tick: (nowMs: number) => 'busy' | 'idle', idleMs: number): Ticker => {
  let timer: NodeJS.Timeout | undefined
  let isBusy = false
  let stopped = false

  const run = () => {
    isBusy = tick(performance.now()) === 'busy'
    arm()
  }
  const arm = () => {
    clearTimeout(timer)
    // What is in flight keeps the process alive by its socket, not by this.
    if (!stopped) timer = setTimeout(run, isBusy ? Math.min(busyMs, idleMs) : idleMs).unref()
  }
  return {
    wake: () => {
      if (isBusy) return
      isBusy = true
      arm()
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
    },
  }
}
