import { hash } from 'node:crypto'
import { isPast } from '#contract/clock'
import { twoGenerations } from '#contract/two-generations'

/** Answers until they end. */
export type AnswerCache<Answer> = {
  readonly get: (key: string, nowMs: number) => Answer | undefined
  /** @param nowMs When it was given: a clock that is set back does not make it last. */
  readonly set: (key: string, answer: Answer, nowMs: number, untilMs: number) => void
}

/** Of a token: SHA-256, so that none stays in memory for long, and a wrong one finds nothing by being like a right one. */
export const keyOfToken = (token: string): string => hash('sha256', token, 'base64url')

/** At most `maxEntries`; what is not used goes first. */
export const answerCache = <Answer>(maxEntries: number): AnswerCache<Answer> => {
  const known = twoGenerations<{
    readonly answer: Answer
    readonly sinceMs: number
    readonly untilMs: number
  }>(maxEntries)
  return {
    get: (key, nowMs) => {
      const found = known.get(key)
      if (found === undefined) return undefined
      if (found.untilMs > nowMs && isPast(found.sinceMs, nowMs)) return found.answer
      known.delete(key)
      return undefined
    },
    set: (key, answer, sinceMs, untilMs) => known.set(key, { answer, sinceMs, untilMs }),
  }
}
