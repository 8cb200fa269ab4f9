/** Questions that are not answered yet, by what they are about. */
export type UnderWay<Answer> = {
  /** The one about this, if it is not answered yet. */
  readonly get: (about: string) => Promise<Answer> | undefined
  /**
   * The one about this, or a new one.
   *
   * @param ask Calls `answered` once it is, one way or the other, and not before it has returned.
   */
  readonly share: (about: string, ask: (answered: () => void) => Promise<Answer>) => Promise<Answer>
  readonly size: () => number
}

/** So many answered ones may stand beside those that are not. */
const maxAnswered = 256

/**
 * Lets those who want to know the same at once share one question.
 *
 * What is answered is not deleted but emptied, and now and then those that are not answered move to a new map: of a map to
 * which entries come and go V8 keeps former tables, with what was in them, until it collects the garbage of the old
 * generation (see `places`).
 */
export const underWay = <Answer>(): UnderWay<Answer> => {
  let all = new Map<string, Promise<Answer> | undefined>()
  let open = 0
  const enter = (about: string, question: Promise<Answer>) => {
    if (!all.has(about) && all.size >= open + maxAnswered) {
      const former = all
      all = new Map()
      for (const [one, asked] of former)
        if (asked !== undefined) {
          all.set(one, asked)
          former.set(one, undefined) // it may be old by now
        }
    }
    all.set(about, question)
    open += 1
  }
  return {
    get: (about) => all.get(about),
    share: (about, ask) => {
      const before = all.get(about)
      if (before !== undefined) return before
      const question = ask(() => {
        if (all.get(about) !== question) return
        all.set(about, undefined)
        open -= 1
      })
      enter(about, question)
      return question
    },
    size: () => open,
  }
}
