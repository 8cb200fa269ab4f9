const places = 4096

/** Remembers, for one who makes numbers of keys, those of the keys that came lately. */
export type Recently = (make: (key: string) => number) => (key: string) => number

/**
 * Remembers what was made of the keys that came lately, in places that a newcomer takes over: who comes again and again is not
 * hashed anew. Keys that fall into one place, by chance or on purpose, are as slow as without. All who make numbers of keys
 * share the places: 10,000 routes with a limit each would else hold 33 MB.
 */
export const recently = (): Recently => {
  const keys = Array.from<string | undefined>({ length: places })
  const made = new Uint32Array(places)
  const makers = new Uint32Array(places)
  let lastMaker = 0
  return (make) => {
    const maker = (lastMaker = (lastMaker + 1) >>> 0)
    return (key) => {
      const place = (placeOf(key) + maker * spread) % places
      if (keys[place] === key && makers[place] === maker) return made[place] as number
      keys[place] = key
      makers[place] = maker
      return (made[place] = make(key))
    }
  }
}

/** So that the same key of several makers has a place for each. */
const spread = 769

/** By what differs most between addresses, and between names: the end. */
const placeOf = (key: string): number => {
  const { length } = key
  if (length < 3) return length
  return (
    length +
    31 * key.charCodeAt(length - 1) +
    7 * key.charCodeAt(length - 2) +
    key.charCodeAt(length - 3)
  )
}
