import { multiMap, type MultiMap } from './multi-map.ts'
import { addressBytes, maskedBytes, parseNetwork } from './network.ts'
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
    if (typeof read === 'string') throw new TypeError(`${network} ${read}`) // entries have been read before
    const { bytes, bits } = read
    const length = `${bytes.length}/${bits}`
    const { items } = byLength.get(length) ?? { items: multiMap<Item>() }
    byLength.set(length, { family: bytes.length, bits, items })
    return { items, key: maskedBytes(bytes, bits), length }
  }

  const { find, forget } = remembered((address: string): readonly Item[] => {
    const bytes = addressBytes(address) ?? ''
    const found: Item[] = []
    for (const { family, bits, items } of byLength.values())
      if (family === bytes.length) found.push(...items.find(maskedBytes(bytes, bits)))
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
