import { hash } from 'node:crypto'

/** Answers until they end. */
export type AnswerCache<Answer> = {
  readonly get: (key: string, nowMs: number) => Answer | undefined
  readonly set: (key: string, answer: Answer, untilMs: number) => void
}

/** Of a token: SHA-256, so that none stays in memory for long, and a wrong one finds nothing by being like a right one. */
export const keyOfToken = (token: string): string => hash('sha256', token, 'base64url')

/**
 * At most `maxEntries`, in two generations: a full one becomes the old one, what is used again moves over, the rest is
 * forgotten with it (as in `token-cache.ts`).
 */
export const answerCache = <Answer>(maxEntries: number): AnswerCache<Answer> => {
  type Entry = { readonly answer: Answer; readonly untilMs: number }
  const maxOfOne = Math.max(1, Math.floor(maxEntries / 2))
  let young = new Map<string, Entry>()
  let old = new Map<string, Entry>()
  const keep = (key: string, entry: Entry) => {
    if (young.size >= maxOfOne) {
      old = young
      young = new Map()
    }
    young.set(key, entry)
  }
  return {
    get: (key, nowMs) => {
      const found = young.get(key) ?? old.get(key)
      if (found === undefined) return undefined
      if (found.untilMs <= nowMs) {
        young.delete(key)
        old.delete(key)
        return undefined
      }
      if (!young.has(key)) keep(key, found)
      return found.answer
    },
    set: (key, answer, untilMs) => keep(key, { answer, untilMs }),
  }
}
