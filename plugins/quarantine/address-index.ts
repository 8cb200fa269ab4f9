import { multiMap, type MultiMap } from './multi-map.ts'
import { addressKey, maskedKey, parseNetwork } from './network.ts'
import { remembered } from './remembered.ts'

/**
 * What stands for networks, found by an address in any of them. One map for each length of prefix that is in use, so that
 * the number of networks makes no difference.
 */
export const addressIndex = <Item>(): MultiMap<Item> => {
  type OfLength = { readonly family: number; readonly bits: number; readonly items: MultiMap<Item> }
  const byLength = new Map<string, OfLength>()

  const placeOf = (network: string) => {
    const read = parseNetwork(network)
    if (typeof read === 'string') throw new TypeError(read) // entries have been read before
    const { key, bits } = read
    const length = `${key.length}/${bits}`
    const { items } = byLength.get(length) ?? { items: multiMap<Item>() }
    byLength.set(length, { family: key.length, bits, items })
    return { items, key: maskedKey(key, bits), length }
  }

  const { find, forget } = remembered((address: string): readonly Item[] => {
    const key = addressKey(address)
    const found: Item[] = []
    for (const { family, bits, items } of byLength.values())
      if (family === key.length) found.push(...items.find(maskedKey(key, bits)))
    return found
  })

  return {
    add: (network, item) => {
      const { items, key } = placeOf(network)
      items.add(key, item)
      forget()
    },
    remove: (network, item) => {
      const { items, key, length } = placeOf(network)
      items.remove(key, item)
      if (items.isEmpty()) byLength.delete(length)
      forget()
    },
    find: (address) => (byLength.size === 0 ? [] : find(address)),
    isEmpty: () => byLength.size === 0,
  }
}
