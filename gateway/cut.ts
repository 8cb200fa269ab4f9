import type { Problem } from '#contract/problem'

/** How one exchange is ended from outside, whatever it is doing: by a quarantine, the end of a token, the end of a drain. */
export type Cut = {
  readonly cut: (problem: Problem) => void
  /** What has cut it, if anything has. */
  readonly by: () => Problem | undefined
  /** From now on this is how it is ended. */
  readonly onCut: (end: (problem: Problem) => void) => void
}

/** @param end How it is ended until somebody knows a better way. */
export const cutting = (end: (problem: Problem) => void): Cut => {
  let by: Problem | undefined
  let endNow = end
  return {
    cut: (problem) => {
      if (by) return
      by = problem
      endNow(problem)
    },
    by: () => by,
    onCut: (better) => {
      endNow = better
    },
  }
}
