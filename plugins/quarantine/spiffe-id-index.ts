import { multiMap, type MultiMap } from './multi-map.ts'
import { remembered } from './remembered.ts'

/**
 * What stands for SPIFFE IDs, or with `/*` at the end for all below one, found by an ID. Of what is above it only those
 * depths are looked at at which something stands, so an ID of a thousand segments costs no more than a short one.
 */
export const spiffeIdIndex = <Item>(): MultiMap<Item> => {
  const exact = multiMap<Item>()
  /** The prefix with its slash, by the number of slashes in it. */
  const byDepth = new Map<number, MultiMap<Item>>()

  const placeOf = (pattern: string) => {
    if (!pattern.endsWith('/*')) return { items: exact, key: pattern, depth: 0 }
    const key = pattern.slice(0, -1)
    const depth = key.split('/').length - 1
    const items = byDepth.get(depth) ?? multiMap<Item>()
    byDepth.set(depth, items)
    return { items, key, depth }
  }

  const { find, forget } = remembered((spiffeId: string): readonly Item[] => {
    const found = [...exact.find(spiffeId)]
    let left = byDepth.size
    let depth = 1
    for (let slash = spiffeId.indexOf('/'); slash >= 0 && left > 0; depth += 1) {
      const items = byDepth.get(depth)
      if (items) found.push(...items.find(spiffeId.slice(0, slash + 1)))
      if (items) left -= 1
      slash = spiffeId.indexOf('/', slash + 1)
    }
    return found
  })
  const isEmpty = () => exact.isEmpty() && byDepth.size === 0

  return {
    add: (pattern, item) => {
      const { items, key } = placeOf(pattern)
      items.add(key, item)
      forget()
    },
    remove: (pattern, item) => {
      const { items, key, depth } = placeOf(pattern)
      items.remove(key, item)
      if (items.isEmpty()) byDepth.delete(depth)
      forget()
    },
    find: (spiffeId) => (isEmpty() ? [] : find(spiffeId)),
    isEmpty,
  }
}
