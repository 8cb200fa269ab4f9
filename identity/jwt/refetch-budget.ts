/** How often callers may make us ask an issuer again, in vain. */
export type RefetchBudget = {
  readonly allows: (kid: string) => boolean
  /** Asking now, for this `kid`; counts as in vain until `paidOff` is called. */
  readonly spend: (kid: string) => void
  /** The issuer had what was looked for. */
  readonly paidOff: (kid: string) => void
}

/** Of an issuer: a flood of made-up kids makes one fetch in 30 s. */
const longestIssuerPauseMs = 30_000
/** Of one kid: a caller with a token of long ago does not keep the issuer's budget empty. */
const longestKidPauseMs = 300_000
const firstPauseMs = 1000
const maxKids = 1000

type Pause = { readonly untilMs: number; readonly lengthMs: number }

/**
 * Lets the first caller with a new `kid` through at once, and makes the next wait longer the oftener it was in vain: for
 * the issuer 1 s, doubling to 30 s; for each kid (the negative cache) 1 s, doubling to 5 min. What paid off costs nothing, so two
 * rotations in a row are both seen at once; and a key that the issuer publishes a moment after its first use is found
 * soon, since the first pauses are short.
 *
 * @param uptimeMs A clock that never goes back.
 */
export const refetchBudget = (uptimeMs: () => number): RefetchBudget => {
  let issuer: Pause | undefined
  const kids = new Map<string, Pause>()
  const isOver = (pause: Pause | undefined) => pause === undefined || uptimeMs() >= pause.untilMs
  return {
    allows: (kid) => isOver(issuer) && isOver(kids.get(kid)),
    spend: (kid) => {
      const now = uptimeMs()
      issuer = longerPause(issuer, now, longestIssuerPauseMs)
      const pause = longerPause(kids.get(kid), now, longestKidPauseMs)
      kids.delete(kid)
      const oldest = kids.size >= maxKids ? kids.keys().next() : undefined
      if (oldest && !oldest.done) kids.delete(oldest.value)
      kids.set(kid, pause)
    },
    paidOff: (kid) => {
      issuer = undefined
      kids.delete(kid)
    },
  }
}

/** Begins anew once nothing was in vain for as long as the longest pause. */
const longerPause = (before: Pause | undefined, now: number, longestMs: number): Pause => {
  const lengthMs =
    before && now < before.untilMs + longestMs
      ? Math.min(before.lengthMs * 2, longestMs)
      : firstPauseMs
  return { untilMs: now + lengthMs, lengthMs }
}
