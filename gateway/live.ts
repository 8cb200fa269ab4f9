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

/** All that is open in this process. */
export const liveTable = (): LiveTable => {
  const all = new Set<Open>()
  let waiting: (() => void)[] = []
  const leave = (open: Open) => {
    all.delete(open)
    if (all.size > 0) return
    for (const resolve of waiting) resolve()
    waiting = []
  }
  return {
    add: (open) => {
      all.add(open)
      return () => leave(open)
    },
    sweep: (judge) => {
      let cut = 0
      for (const open of all) {
        const problem = judge(open.facts)
        if (!problem) continue
        open.cut(problem)
        cut += 1
      }
      return cut
    },
    size: () => all.size,
    empty: () =>
      all.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
  }
}
