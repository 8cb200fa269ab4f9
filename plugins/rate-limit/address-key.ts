import { isIP } from 'node:net'

/** Prefixes of 96 bits behind which an IPv4 address stands. */
const ipv4Prefixes = [
  [0, 0, 0, 0, 0, 0xffff], // IPv4-mapped, RFC 4291 §2.5.5.2: how a dual-stack socket shows IPv4 callers
  [0x64, 0xff9b, 0, 0, 0, 0], // NAT64, RFC 6052 §2.1: else all of IPv4 would count as one caller
]

/**
 * What an address counts as. An IPv6 caller has a /64 to himself and could come with a new address each time, so the
 * /64 counts; an IPv4 address written as IPv6 counts as what it is.
 *
 * @param address Of a socket or of a believed X-Forwarded-For. What is no address at all counts as one caller.
 */
export const addressKey = (address: string): string => {
  switch (isIP(address)) {
    case 4:
      return address
    case 6:
      return ipv6Key(groupsOf(address))
    default:
      return 'no-address'
  }
}

const ipv6Key = (groups: readonly number[]): string => {
  const isIpv4 = ipv4Prefixes.some((prefix) => prefix.every((group, i) => group === groups[i]))
  if (isIpv4) return bytesOf(groups.slice(6)).join('.')
  const network = groups.slice(0, 4).map((group) => group.toString(16))
  return `${network.join(':')}::/64`
}

/** The eight groups of an address that `isIP` has found to be well-formed; a zone (`%eth0`) does not count. */
const groupsOf = (address: string): number[] => {
  const [text = ''] = address.split('%', 1)
  const [head = '', tail] = text.split('::', 2)
  const before = groupsIn(head)
  if (tail === undefined) return before
  const after = groupsIn(tail)
  return [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after]
}

const groupsIn = (text: string): number[] => {
  if (text === '') return []
  return text.split(':').flatMap((part) => {
    if (!part.includes('.')) return [Number.parseInt(part, 16)]
    const [a = 0, b = 0, c = 0, d = 0] = part.split('.').map(Number)
    return [(a << 8) | b, (c << 8) | d]
  })
}

const bytesOf = (groups: readonly number[]): number[] =>
  groups.flatMap((group) => [group >> 8, group & 0xff])
