import { isIPv4, isIPv6 } from 'node:net'

/** The 4 or 16 bytes of an address, as an iPAddress SAN has them (RFC 5280 §4.2.1.6). Throws for anything else. */
export const ipAddressBytes = (address: string): Buffer => {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number))
  if (!isIPv6(address) || address.includes('%'))
    throw new TypeError(`not an IP address: ${JSON.stringify(address)}`)
  const [head = '', tail] = address.split('::')
  const before = groups(head)
  const after = tail === undefined ? [] : groups(tail)
  const zeros = Array<number>(8 - before.length - after.length).fill(0)
  const bytes = Buffer.alloc(16)
  for (const [i, group] of [...before, ...zeros, ...after].entries())
    bytes.writeUInt16BE(group, 2 * i)
  return bytes
}

/** 16 bits each; the last two may be written as an IPv4 address. */
const groups = (text: string): number[] =>
  text === ''
    ? []
    : text.split(':').flatMap((group) => {
        if (!group.includes('.')) return [Number.parseInt(group, 16)]
        const [a = 0, b = 0, c = 0, d = 0] = group.split('.').map(Number)
        return [a * 256 + b, c * 256 + d]
      })
