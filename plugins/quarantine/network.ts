import { isIP } from 'node:net'

/** An address or a network, its bytes as the characters of a string: fit to be cut, compared and used as a key. */
export type Network = {
  readonly bytes: string
  /** How many bits of it count, of 32 or 128. */
  readonly bits: number
}

/**
 * The bytes of an address, 4 or 16; undefined for what is none. An IPv4 address written as IPv6 is what it means (RFC 4291
 * §2.5.5.2), and a zone does not count: else a caller would have more than one name.
 */
export const addressBytes = (text: string): string | undefined => {
  switch (isIP(text)) {
    case 4:
      return ipv4Bytes(text)
    case 6: {
      const bytes = ipv6Bytes(text.split('%', 1)[0] ?? '')
      return bytes.startsWith(mappedPrefix) ? bytes.slice(mappedPrefix.length) : bytes
    }
    default:
      return undefined
  }
}

const mappedPrefix = `${'\0'.repeat(10)}\xff\xff`
const mappedBits = 96

/** Reads `203.0.113.9`, `203.0.113.0/24`, `2001:db8::/32`; what is wrong with anything else, as the end of a sentence. */
export const parseNetwork = (text: string): Network | string => {
  const [address = '', prefix, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0 || address.includes('%'))
    return 'is not an address or a network such as 203.0.113.0/24 or 2001:db8::/32'
  const bytes = addressBytes(address) ?? ''
  const most = family === 4 ? 32 : 128
  const written = prefix === undefined ? most : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1
  const bits = family === 6 && bytes.length === 4 ? written - mappedBits : written
  if (written > most || bits < 0)
    return `has a prefix that is not a number of bits, at most ${most}`
  if (maskedBytes(bytes, bits) !== prefixBytes(bytes, bits))
    return 'has bits set behind its prefix: it says one network and means another'
  return { bytes, bits }
}

/** One form for each network: `203.0.113.0/24`, and without a prefix what is one address. */
export const networkText = ({ bytes, bits }: Network): string => {
  const address = bytes.length === 4 ? ipv4Text(bytes) : ipv6Text(bytes)
  return bits === bytes.length * 8 ? address : `${address}/${bits}`
}

/** The first `bits` bits, in as few bytes as hold them, the rest of the last one cleared. */
export const maskedBytes = (bytes: string, bits: number): string => {
  const whole = bits >> 3
  const rest = bits & 7
  if (rest === 0) return bytes.slice(0, whole)
  const last = bytes.charCodeAt(whole) & (0xff00 >> rest) & 0xff
  return bytes.slice(0, whole) + String.fromCharCode(last)
}

/** As many bytes, nothing cleared; and nothing but zeros may follow. */
const prefixBytes = (bytes: string, bits: number): string | undefined => {
  const end = (bits + 7) >> 3
  return /^\0*$/.test(bytes.slice(end)) ? bytes.slice(0, end) : undefined
}

const ipv4Bytes = (text: string): string => String.fromCharCode(...text.split('.').map(Number))

const ipv6Bytes = (text: string): string => {
  const [head = '', tail] = text.split('::', 2)
  const before = groupBytes(head)
  if (tail === undefined) return before
  const after = groupBytes(tail)
  return before + '\0'.repeat(16 - before.length - after.length) + after
}

const groupBytes = (text: string): string => {
  if (text === '') return ''
  let bytes = ''
  for (const part of text.split(':')) {
    const group = Number.parseInt(part, 16)
    bytes += part.includes('.') ? ipv4Bytes(part) : String.fromCharCode(group >> 8, group & 0xff)
  }
  return bytes
}

const codes = (bytes: string): number[] => Array.from(bytes, (char) => char.charCodeAt(0))

const ipv4Text = (bytes: string): string => codes(bytes).join('.')

const ipv6Text = (bytes: string): string => {
  const all = codes(bytes)
  const groups = Array.from({ length: 8 }, (_, i) =>
    (((all[2 * i] ?? 0) << 8) | (all[2 * i + 1] ?? 0)).toString(16),
  )
  // The URL parser shortens it as RFC 5952 §4.2 does.
  return new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1)
}
