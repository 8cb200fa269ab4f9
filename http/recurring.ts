const maxKept = 256
/** Questions after which it is judged whether remembering pays. */
const judgedEvery = 1024
/** For how many questions it is left out if it did not. */
const restFor = 16_384

/** What was made of texts, most of which come again and again. */
export type Recurring<Made> = {
  /** Whether asking is left out this time, for want of success. To be called once for each text. */
  readonly rests: () => boolean
  readonly get: (text: string) => Made | undefined
  readonly set: (text: string, made: Made) => void
}

/**
 * Remembers in two generations, the older one thrown away when the newer is full, so nothing is ever deleted singly. Where
 * texts do not come again it gives up for a while.
 */
export const recurring = <Made>(): Recurring<Made> => {
  let hot = new Map<string, Made>()
  let cold = new Map<string, Made>()
  let asked = 0
  let found = 0
  let resting = 0

  const set = (text: string, made: Made) => {
    if (hot.size >= maxKept) {
      cold = hot
      hot = new Map()
    }
    hot.set(text, made)
  }
  const judge = () => {
    if (found < judgedEvery / 4) {
      resting = restFor
      hot = new Map()
      cold = new Map()
    }
    asked = 0
    found = 0
  }
  return {
    rests: () => {
      if (resting === 0) return false
      resting -= 1
      return true
    },
    get: (text) => {
      if (++asked >= judgedEvery) judge()
      let made = hot.get(text)
      if (made === undefined) {
        made = cold.get(text)
        if (made !== undefined) set(text, made)
      }
      if (made !== undefined) found++
      return made
    },
    set,
  }
}
