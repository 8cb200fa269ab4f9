/** Several things may stand for one key. */
export type MultiMap<Item> = {
  readonly add: (key: string, item: Item) => void
  readonly remove: (key: string, item: Item) => void
  readonly find: (key: string) => readonly Item[]
  readonly isEmpty: () => boolean
}

const nothing: readonly never[] = Object.freeze([])

export const multiMap = <Item>(): MultiMap<Item> => {
  const all = new Map<string, Item[]>()
  return {
    add: (key, item) => {
      const there = all.get(key)
      if (there) there.push(item)
      else all.set(key, [item])
    },
    remove: (key, item) => {
      const rest = all.get(key)?.filter((other) => other !== item) ?? []
      if (rest.length > 0) all.set(key, rest)
      else all.delete(key)
    },
    find: (key) => (all.size === 0 ? nothing : (all.get(key) ?? nothing)),
    isEmpty: () => all.size === 0,
  }
}
