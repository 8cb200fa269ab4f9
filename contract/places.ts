/** What there is at the moment, each in a place of its own. */
export type Places<Item> = {
  /** @returns Its place. */
  readonly take: (item: Item) => number
  readonly leave: (place: number) => void
  readonly count: () => number
  /** All that are there. */
  readonly all: () => readonly Item[]
}

/**
 * For what comes and goes all the time. A place that was left is taken again, so this grows to as many as were ever there
 * at once.
 *
 * A `Set` would keep much of what has gone: it changes its table every few dozen items, each table knows the next one, and
 * from one that has become old, and is garbage, V8 takes all those after it for alive, with what was in them, until it
 * collects the garbage of the old generation.
 */
export const places = <Item>(): Places<Item> => {
  const items: (Item | undefined)[] = []
  const left: number[] = []
  return {
    take: (item) => {
      const place = left.pop() ?? items.length
      items[place] = item
      return place
    },
    leave: (place) => {
      items[place] = undefined
      left.push(place)
    },
    count: () => items.length - left.length,
    all: () => items.filter((item) => item !== undefined),
  }
}
