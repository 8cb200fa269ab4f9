/**
 * The bytes of an address in its one spelling: 4 for `192.0.2.1`, 16 for IPv6 in any of the forms of RFC 4291 §2.2.
 *
 * @returns undefined for everything else, zones among it.
 */
export const addressBytes = (text: string): readonly number[] | undefined =>
  text.includes(':') ? ipv6Bytes(text) : ipv4Bytes(text)

const decimalByte = /^(?:0|[1-9]\d{0,2})$/

const ipv4Bytes = (text: string): readonly number[] | undefined => {
  const parts = text.split('.')
  if (parts.length !== 4 || !parts.every((part) => decimalByte.test(part))) return undefined
  const bytes = parts.map(Number)
  return bytes.every((byte) => byte <= 255) ? bytes : undefined
}

const hexGroup = /^[0-9a-f]{1,4}$/i
const groupCount = 8

const ipv6Bytes = (text: string): readonly number[] | undefined => {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const [head = '', tail] = halves
  const before = groupsOf(head, tail === undefined)
  const after = tail === undefined ? [] : groupsOf(tail, true)
  if (before === undefined || after === undefined) return undefined
  const missing = groupCount - before.length - after.length
  // RFC 5952 §4.2.2 would not write `::` for one group, but every parser reads it.
  if (tail === undefined ? missing !== 0 : missing < 1) return undefined
  return [...before, ...Array<number>(missing).fill(0), ...after].flatMap((group) => [
    group >> 8,
    group & 0xff,
  ])
}

/** @param isLast Whether these are the last groups: only there may an IPv4 address stand. */
const groupsOf = (text: string, isLast: boolean): readonly number[] | undefined => {
  if (text === '') return []
  const parts = text.split(':')
  const groups: number[] = []
  for (const [i, part] of parts.entries()) {
    const embedded = isLast && i === parts.length - 1 ? ipv4Bytes(part) : undefined
    if (embedded !== undefined) {
      const [a = 0, b = 0, c = 0, d = 0] = embedded
      groups.push((a << 8) | b, (c << 8) | d)
    } else if (hexGroup.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups.length <= groupCount ? groups : undefined
}

const anyNumber = /^(?:0x[0-9a-f]*|\d+)$/i

/**
 * The IPv4 address that some parsers (`inet_aton`, browsers) take a text for: one to four parts, each decimal, octal or
 * hexadecimal, the last one filling what is left. Only to say in a refusal what was meant.
 *
 * @see WHATWG URL §3.5
 */
export const looseIpv4Bytes = (text: string): readonly number[] | undefined => {
  const parts = text.split('.')
  if (parts.length > 4 || !parts.every((part) => anyNumber.test(part))) return undefined
  const numbers = parts.map(looseNumber)
  const last = numbers.pop() ?? Number.NaN
  const room = 4 - numbers.length
  if (!numbers.every((number) => number <= 255) || !(last < 256 ** room)) return undefined
  const rest = Array.from(
    { length: room },
    (_, i) => Math.floor(last / 256 ** (room - 1 - i)) % 256,
  )
  return [...numbers, ...rest]
}

const looseNumber = (part: string): number => {
  if (/^0x/i.test(part)) return Number.parseInt(part.slice(2) || '0', 16)
  if (part.length > 1 && part.startsWith('0'))
    return /^[0-7]+$/.test(part) ? Number.parseInt(part, 8) : Number.NaN
  return Number(part)
}

/** An address in its one spelling: dotted, or as RFC 5952 §4 writes IPv6. */
export const addressText = (bytes: readonly number[]): string => {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from(
    { length: groupCount },
    (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0),
  )
  const gap = longestZeroRun(groups)
  const hex = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':')
  if (gap.length < 2) return hex(0, groupCount)
  return `${hex(0, gap.start)}::${hex(gap.start + gap.length, groupCount)}`
}

const longestZeroRun = (groups: readonly number[]) => {
  let best = { start: 0, length: 0 }
  let start = 0
  for (const [i, group] of groups.entries()) {
    if (group !== 0) start = i + 1
    else if (i + 1 - start > best.length) best = { start, length: i + 1 - start }
  }
  return best
}

/** A set of addresses that begin with the same bits. */
export type Network = { readonly bytes: readonly number[]; readonly bits: number }

/** @throws TypeError for what is no network, or has bits set behind its prefix. */
export const networkOf = (cidr: string): Network => {
  const [address = '', prefix, ...rest] = cidr.split('/')
  const bytes = addressBytes(address)
  const bits = prefix !== undefined && decimalByte.test(prefix) ? Number(prefix) : -1
  if (bytes === undefined || bits < 0 || bits > bytes.length * 8 || rest.length > 0)
    throw new TypeError(`${JSON.stringify(cidr)} is not a network such as 10.0.0.0/8 or fd00::/8`)
  if (hasBitsBehind(bytes, bits))
    throw new TypeError(`${JSON.stringify(cidr)} has bits set behind its prefix`)
  return { bytes, bits }
}

const hasBitsBehind = (bytes: readonly number[], bits: number): boolean =>
  bytes.some((byte, i) => (byte & (0xff >> Math.min(8, Math.max(0, bits - 8 * i)))) !== 0)

/** Whether an address is in a network of its own family. */
export const isWithin = (
  { bytes: network, bits }: Network,
  address: readonly number[],
): boolean => {
  if (network.length !== address.length) return false
  for (let i = 0, left = bits; left > 0; i += 1, left -= 8) {
    const mask = left >= 8 ? 0xff : (0xff << (8 - left)) & 0xff
    if ((((network[i] ?? 0) ^ (address[i] ?? 0)) & mask) !== 0) return false
  }
  return true
}
