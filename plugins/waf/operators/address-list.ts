import { BlockList, isIP } from 'node:net'
import type { Test } from './operator.ts'

/** Asks whether a value is an address in one of some networks. @throws TypeError for an entry that is neither */
export const matchAny = (operator: string, entries: readonly string[]): Test => {
  const list = new BlockList()
  for (const entry of entries.map((text) => text.trim()).filter((text) => text !== ''))
    addEntry(list, entry, operator)
  return {
    test: (value) => {
      const family = isIP(value)
      return family !== 0 && list.check(value, family === 6 ? 'ipv6' : 'ipv4')
    },
    capture: (value) => [value],
  }
}

const addEntry = (list: BlockList, entry: string, operator: string): void => {
  const [address = '', bits] = entry.split('/', 2)
  const family = isIP(address)
  const most = family === 6 ? 128 : 32
  const prefix = bits === undefined ? most : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
  if (family === 0 || prefix < 0 || prefix > most)
    throw new TypeError(`${operator} cannot read ${JSON.stringify(entry)}`)
  list.addSubnet(address, prefix, family === 6 ? 'ipv6' : 'ipv4')
}
