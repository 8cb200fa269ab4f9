/** Holds things for one snapshot. */
export type Hand = {
  /**
   * A thing, made now or found on the shelf.
   *
   * @param kind What it is, and
   * @param madeFrom what it was made from (plain data): the same ones give the same thing back.
   * @param close Called when the last snapshot that held it has let go.
   */
  readonly take: <T>(
    kind: string,
    madeFrom: unknown,
    make: () => T,
    close?: (thing: T) => void,
  ) => T
  /** Lets go of all that it holds. */
  readonly release: () => void
}

/** Keeps what a reload must not throw away: connection pools, key sets, limiters, compiled rules. */
export type Shelf = { readonly hand: () => Hand; readonly size: () => number }

type Item = { readonly thing: unknown; readonly close: () => void; holders: number }

export const shelf = (): Shelf => {
  const items = new Map<string, Item>()

  const drop = (key: string, item: Item) => {
    item.holders -= 1
    if (item.holders > 0) return
    items.delete(key)
    item.close()
  }

  const hand = (): Hand => {
    const held = new Map<string, Item>()
    return {
      take: <T>(
        kind: string,
        madeFrom: unknown,
        make: () => T,
        close: (thing: T) => void = () => {},
      ) => {
        const key = `${kind} ${JSON.stringify(madeFrom)}`
        let item = held.get(key)
        if (!item) {
          item = items.get(key)
          if (!item) {
            const thing = make()
            item = { thing, close: () => close(thing), holders: 0 }
            items.set(key, item)
          }
          item.holders += 1
          held.set(key, item)
        }
        return item.thing as T
      },
      release: () => {
        for (const [key, item] of held) drop(key, item)
        held.clear()
      },
    }
  }

  return { hand, size: () => items.size }
}
