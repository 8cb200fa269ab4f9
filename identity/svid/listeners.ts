/** Who is to be told of a change, and how to stop that. */
export const listeners = <T>() => {
  const all = new Set<(value: T) => void>()
  return {
    add: (listener: (value: T) => void) => {
      // One that is added twice is told twice, and each is taken away by itself.
      const entry = (value: T) => listener(value)
      all.add(entry)
      return () => void all.delete(entry)
    },
    tell: (value: T) => {
      for (const listener of all) listener(value)
    },
  }
}
