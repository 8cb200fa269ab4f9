/** Room for retries: a share of the requests, so that they do not become the load that keeps a service down. */
export type RetryBudget = {
  /** A request comes. */
  readonly earn: () => void
  /** Whether one may be sent again. */
  readonly spend: () => boolean
}

/** So many may be saved up, and are there at the beginning: few requests earn nothing in time. */
const maxSaved = 10

/** @param percent Of the requests, which may be sent a second time. */
export const retryBudget = (percent: number): RetryBudget => {
  let saved = maxSaved
  return {
    earn: () => {
      saved = Math.min(maxSaved, saved + percent / 100)
    },
    spend: () => {
      if (saved < 1) return false
      saved -= 1
      return true
    },
  }
}
