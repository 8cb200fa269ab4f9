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

type Entry = { readonly open: Open; at: number }

/**
 * All that is open in this process. An array whose last entry fills the gap of one that leaves: a `Set` with an insert and
 * a delete for every request chains dead tables through V8's young generation, and its collections then take ten times
 * as long.
 */
export const liveTable = (): LiveTable => {
  const all: Entry[] = []
  let waiting: (() => void)[] = []
  const leave = (entry: Entry) => {
    const last = all.at(-1)
    if (!last || all[entry.at] !== entry) return // it has left already
    all[entry.at] = last
    last.at = entry.at
    all.pop()
    if (all.length > 0) return
    for (const resolve of waiting) resolve()
    waiting = []
  }
  return {
    add: (open) => {
      const entry = { open, at: all.length }
      all.push(entry)
      return () => leave(entry)
    },
    sweep: (judge) => {
      let cut = 0
      for (const { open } of all.slice()) {
        const problem = judge(open.facts)
        if (!problem) continue
        open.cut(problem)
        cut += 1
      }
      return cut
    },
    size: () => all.length,
    empty: () =>
      all.length === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve)),
  }
}
