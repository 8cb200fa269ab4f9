import { addressBytes, addressText, networkOf } from '#contract/ip-address'

/** A network, its bytes as the characters of a string: fit to be cut, compared and used as a key. */
export type KeyedNetwork = {
  readonly key: string
  /** How many bits of it count, of 32 or 128. */
  readonly bits: number
}

const mappedBits = 96

/** An IPv4 address written as IPv6 is what it means (RFC 4291 §2.5.5.2): else a caller would have two names. */
const isMapped = (bytes: readonly number[]): boolean =>
  bytes.length === 16 &&
  bytes.slice(0, 10).every((byte) => byte === 0) &&
  bytes[10] === 0xff &&
  bytes[11] === 0xff

const keyOf = (bytes: readonly number[]): string =>
  String.fromCharCode(...(isMapped(bytes) ? bytes.slice(12) : bytes))

/** The bytes of an address as characters, 4 or 16 of them; '' for what is no address. */
export const addressKey = (text: string): string => keyOf(addressBytes(text) ?? [])

/** Reads `203.0.113.9`, `203.0.113.0/24`, `2001:db8::/32`; of anything else says what is wrong, with the text quoted. */
export const parseNetwork = (text: string): KeyedNetwork | string => {
  const bytes = addressBytes(text)
  if (bytes) return { key: keyOf(bytes), bits: isMapped(bytes) ? 32 : bytes.length * 8 }
  try {
    const network = networkOf(text)
    return isMapped(network.bytes) && network.bits >= mappedBits
      ? { key: keyOf(network.bytes), bits: network.bits - mappedBits }
      : { key: String.fromCharCode(...network.bytes), bits: network.bits }
  } catch (cause) {
    if (!(cause instanceof TypeError)) throw cause
    return cause.message
  }
}

/** One form for each network: `203.0.113.0/24`, and without a prefix what is one address. */
export const networkText = ({ key, bits }: KeyedNetwork): string => {
  const address = addressText(Array.from(key, (char) => char.charCodeAt(0)))
  return bits === key.length * 8 ? address : `${address}/${bits}`
}

/** The first `bits` bits, in as few bytes as hold them, the rest of the last one cleared. */
export const maskedKey = (key: string, bits: number): string => {
  const whole = bits >> 3
  const rest = bits & 7
  if (rest === 0) return key.slice(0, whole)
  const last = key.charCodeAt(whole) & (0xff00 >> rest) & 0xff
  return key.slice(0, whole) + String.fromCharCode(last)
}
