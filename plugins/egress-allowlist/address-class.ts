import { addressBytes, isWithin, networkOf, type Network } from '#contract/ip-address'
import { globalUnicast, metadataNetworks, specialRanges } from './special-ranges.ts'

type Bytes = readonly number[]

/** Ways in which an IPv4 address stands in an IPv6 address, and where its bytes are. */
const carriers: readonly { readonly network: Network; readonly at: (bytes: Bytes) => Bytes }[] = [
  { network: networkOf('::/96'), at: (bytes) => bytes.slice(12) },
  { network: networkOf('::ffff:0:0:0/96'), at: (bytes) => bytes.slice(12) },
  { network: networkOf('64:ff9b::/96'), at: (bytes) => bytes.slice(12) },
  { network: networkOf('64:ff9b:1::/48'), at: (bytes) => embeddedIn(bytes, 48) },
  { network: networkOf('64:ff9b:1::/48'), at: (bytes) => bytes.slice(12) },
  { network: networkOf('2002::/16'), at: (bytes) => bytes.slice(2, 6) },
  { network: networkOf('2001::/32'), at: (bytes) => bytes.slice(12).map((byte) => byte ^ 0xff) }, // RFC 4380 §4
  { network: networkOf('2001::/32'), at: (bytes) => bytes.slice(4, 8) }, // the Teredo server
]
const mapped = networkOf('::ffff:0:0/96')

/** RFC 6052 §2.2: byte 8 is left out of the IPv4 address wherever the prefix ends before it. */
const embeddedIn = (bytes: Bytes, prefixBits: number): Bytes => {
  if (prefixBits === 96) return bytes.slice(12)
  return [...bytes.slice(prefixBits / 8, 8), ...bytes.slice(9)].slice(0, 4)
}

/** Prefix lengths of RFC 6052 §2.2. */
const nat64Lengths = [32, 40, 48, 56, 64, 96]

export type AddressClasses = {
  /**
   * `public` for what may be dialled: it is of the internet, or of a network in `opened`. Else what it is;
   * `not-an-address` for what is none.
   */
  readonly classOf: (address: string, opened?: readonly Network[]) => string
  /** Whether an address, or one that it carries, is in one of the networks. */
  readonly isIn: (address: string, networks: readonly Network[]) => boolean
}

/**
 * Makes the judge of addresses. An address that carries an IPv4 address in it is no better than that one.
 *
 * @param nat64Prefixes Of the operator's own translators: what they carry is all that counts.
 * @throws TypeError for a prefix that RFC 6052 does not have.
 */
export const addressClasses = (nat64Prefixes: readonly string[]): AddressClasses => {
  const translators = nat64Prefixes.map(networkOf)
  for (const [i, { bytes, bits }] of translators.entries())
    if (bytes.length !== 16 || !nat64Lengths.includes(bits))
      throw new TypeError(
        `${nat64Prefixes[i]} is not a NAT64 prefix: use IPv6 and /${nat64Lengths.join(', /')}`,
      )

  /** The address that is meant by this one, if it is but a way of writing it. */
  const meantBy = (bytes: Bytes): Bytes => {
    if (isWithin(mapped, bytes)) return bytes.slice(12)
    const translator = translators.find((network) => isWithin(network, bytes))
    return translator === undefined ? bytes : embeddedIn(bytes, translator.bits)
  }

  return {
    classOf: (address, opened = []) => {
      const bytes = addressBytes(address)
      if (bytes === undefined) return 'not-an-address'
      const meant = meantBy(bytes)
      const carried = carriedIn(meant)
      if ([bytes, meant, ...carried].some(isMetadata)) return 'metadata'
      const own = plainClass(meant, opened)
      if (own !== 'public') return own
      return carried.map((inner) => plainClass(inner, opened)).find(isClosed) ?? 'public'
    },
    isIn: (address, networks) => {
      const bytes = addressBytes(address)
      if (bytes === undefined) return false
      const meant = meantBy(bytes)
      const forms = [bytes, meant, ...carriedIn(meant)]
      return networks.some((network) => forms.some((form) => isWithin(network, form)))
    },
  }
}

const isClosed = (kind: string): boolean => kind !== 'public'

const isMetadata = (bytes: Bytes): boolean =>
  metadataNetworks.some((network) => isWithin(network, bytes))

const plainClass = (bytes: Bytes, opened: readonly Network[]): string => {
  if (opened.some((network) => isWithin(network, bytes))) return 'public'
  const special = specialRanges.find(({ network }) => isWithin(network, bytes))
  if (special) return special.kind
  return bytes.length === 4 || isWithin(globalUnicast, bytes) ? 'public' : 'reserved'
}

const carriedIn = (bytes: Bytes): readonly Bytes[] => {
  if (bytes.length === 4 || isUnspecifiedOrLoopback(bytes)) return []
  const found = carriers
    .filter(({ network }) => isWithin(network, bytes))
    .map(({ at }) => at(bytes))
  return isIsatap(bytes) ? [...found, bytes.slice(12)] : found
}

/** `::` and `::1` have the form of an IPv4-compatible address, and are none. */
const isUnspecifiedOrLoopback = (bytes: Bytes): boolean =>
  bytes.slice(0, 15).every((byte) => byte === 0) && (bytes[15] ?? 0) < 2

/** RFC 5214 §6.1: an interface id of `::0:5efe:a.b.c.d` or `::200:5efe:a.b.c.d`. */
const isIsatap = (bytes: Bytes): boolean =>
  ((bytes[8] ?? 0) & 0xfd) === 0 && bytes[9] === 0 && bytes[10] === 0x5e && bytes[11] === 0xfe
