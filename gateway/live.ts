import { places } from '#contract/places'
import type { Problem } from '#contract/problem'

/** One thing that is open now: a request being answered, an upgraded socket, a tunnel. */
export type Open = {
  /** What it is known by so far; filled in as steps learn more. */
  readonly facts: object
  /** Ends it now. Idempotent; never throws. */
  readonly cut: (problem: Problem) => void
}

export type LiveTable = {
  /** Enters something; returns how to take it out again. */
  readonly add: (open: Open) => () => void
  /** Ends whatever `judge` finds a problem with; returns how many. */
  readonly sweep: (judge: (facts: object) => Problem | undefined) => number
  readonly size: () => number
  /** Resolves when nothing is open any more. */
  readonly empty: () => Promise<void>
}

/**
 * All that is open in this process. By places, since a `Set` with an insert and a delete for every request would keep much of
 * what has gone.
 */
export const liveTable = (): LiveTable => {
  const open = places<Open>()
  let waiting: (() => void)[] = []
  return {
    add: (one) => {
      const place = open.take(one)
      let hasLeft = false
      return () => {
        if (hasLeft) return
        hasLeft = true
        open.leave(place)
        if (open.count() > 0) return
        for (const resolve of waiting) resolve()
        waiting = []
      }
    },
    sweep: (judge) => {
      let cut = 0
      for (const one of open.all()) {
        const problem = judge(one.facts)
        if (!problem) continue
        one.cut(problem)
        cut += 1
      }
      return cut
    },
    size: open.count,
    empty: () =>
      open.count() === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
  }
}
