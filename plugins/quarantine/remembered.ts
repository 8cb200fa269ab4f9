/** So many keys are remembered with what was found for them; then all are forgotten. */
const maxRemembered = 8192

/** Remembers what a look-up found, so that what comes again costs one more of a map and no more. */
export const remembered = <Found>(lookUp: (key: string) => Found) => {
  let known = new Map<string, Found>()
  return {
    find: (key: string): Found => {
      const found = known.get(key)
      if (found !== undefined) return found
      const fresh = lookUp(key)
      if (known.size >= maxRemembered) known = new Map()
      known.set(key, fresh)
      return fresh
    },
    forget: () => {
      if (known.size > 0) known = new Map()
    },
  }
}
