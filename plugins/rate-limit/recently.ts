const places = 256

/**
 * Remembers what was made of the keys that came lately, in places that a newcomer takes over: who comes again and again is not
 * hashed anew. Keys that fall into one place, by chance or on purpose, are as slow as without.
 */
export const recently = (make: (key: string) => number): ((key: string) => number) => {
  const keys = Array.from<string | undefined>({ length: places })
  const made = new Uint32Array(places)
  return (key) => {
    const place = placeOf(key)
    if (keys[place] === key) return made[place] as number
    keys[place] = key
    return (made[place] = make(key))
  }
}

/** By what differs most between addresses, and between names: the end. */
const placeOf = (key: string): number => {
  const { length } = key
  if (length < 3) return length
  return (
    (length +
      31 * key.charCodeAt(length - 1) +
      7 * key.charCodeAt(length - 2) +
      key.charCodeAt(length - 3)) %
    places
  )
}
