import { BlockList, isIP } from 'node:net'

/** A set of networks. */
export type Networks = {
  /** @param address As `canonicalAddress` gives it. What is no address is in no network. */
  readonly has: (address: string) => boolean
}

/**
 * An address in the one form in which we compare, log and forward it: IPv4 written as IPv6 (RFC 4291 §2.5.5.2), as
 * sockets that listen on `::` tell it, becomes the IPv4 address it means; a zone is cut off.
 *
 * @returns '' for what is no address.
 */
export const canonicalAddress = (text: string): string => {
  switch (isIP(text)) {
    case 4:
      return text
    case 6: {
      const [address = ''] = text.toLowerCase().split('%', 1)
      return mappedPattern.exec(address)?.[1] ?? address
    }
    default:
      return ''
  }
}

const mappedPattern = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/

/**
 * Reads networks in CIDR form; a bare address is a network of one.
 *
 * @throws TypeError naming the entry that is none. Bits set behind the prefix are a fault too: `10.1.2.3/8` says one
 *   thing and means another.
 */
export const networks = (cidrs: readonly string[]): Networks => {
  const list = new BlockList()
  for (const cidr of cidrs) addNetwork(list, cidr)
  if (cidrs.length === 0) return { has: () => false }
  return {
    has: (address) => {
      const family = isIP(address)
      return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

const addNetwork = (list: BlockList, cidr: string): void => {
  const [address = '', prefix, ...rest] = cidr.split('/')
  const family = isIP(address)
  const maxBits = family === 4 ? 32 : 128
  const bits = prefix === undefined ? maxBits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  if (family === 0 || bits < 0 || bits > maxBits || rest.length > 0 || address.includes('%'))
    throw new TypeError(`${JSON.stringify(cidr)} is not a network such as 10.0.0.0/8 or fd00::/8`)
  if (hasBitsBehind(address, family, bits))
    throw new TypeError(`${JSON.stringify(cidr)} has bits set behind its prefix`)
  list.addSubnet(address, bits, family === 4 ? 'ipv4' : 'ipv6')
}

/** Whether an address is not the first one of its network. */
const hasBitsBehind = (address: string, family: number, bits: number): boolean => {
  const bytes = family === 4 ? address.split('.').map(Number) : ipv6Bytes(address)
  return bytes.some((byte, i) => (byte & (0xff >> clamp(bits - 8 * i))) !== 0)
}

const clamp = (bits: number): number => Math.min(8, Math.max(0, bits))

const ipv6Bytes = (address: string): number[] => {
  // The URL parser writes every form, an embedded IPv4 address too, as groups of hexadecimal digits.
  const text = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = text.split('::', 2)
  const groupsIn = (part: string) =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const before = groupsIn(head)
  const after = groupsIn(tail ?? '')
  const gap = Array<number>(8 - before.length - after.length).fill(0)
  return [...before, ...gap, ...after].flatMap((group) => [group >> 8, group & 0xff])
}
