/** Remembers what was made of an object for as long as that object lives; it must not change. */
export const oncePer = <Key extends object, Made>(make: (of: Key) => Made): ((of: Key) => Made) => {
  const known = new WeakMap<Key, Made>()
  return (of) => {
    const before = known.get(of)
    if (before !== undefined) return before
    const made = make(of)
    known.set(of, made)
    return made
  }
}
