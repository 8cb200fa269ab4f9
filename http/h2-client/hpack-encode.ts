import { huffmanEncode, huffmanLength } from './huffman.ts'
import { staticNameIndex } from './static-table.ts'

/*
 * Octets are built as latin1 strings: joining them costs next to nothing, and one write encodes them all. There is no
 * dynamic table: what repeats (names) is short already, what is long (tokens) must not enter one (RFC 7541 §7.1.3), and
 * without a table a block needs no state.
 */

/**
 * An integer with a prefix of `bits`, below the bits that `first` sets.
 *
 * @see RFC 7541 §5.1
 */
export const encodeInteger = (value: number, bits: number, first: number): string => {
  const prefix = (1 << bits) - 1
  if (value < prefix) return String.fromCharCode(first | value)
  let octets = String.fromCharCode(first | prefix)
  let rest = value - prefix
  while (rest >= 0x80) {
    octets += String.fromCharCode((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  return octets + String.fromCharCode(rest)
}

/** A string as it is, preceded by its length (§5.2). The length of most comes from a table. */
export const encodeString = (text: string): string =>
  text.length < shortLengths.length
    ? (shortLengths[text.length] as string) + text
    : encodeInteger(text.length, 7, 0) + text

const shortLengths = Array.from({ length: 127 }, (_, length) => encodeInteger(length, 7, 0))

/** A string in whichever form is shorter: for what is remembered, since coding it costs more than the octets. */
export const encodeShortest = (text: string): string =>
  huffmanLength(text) < text.length
    ? encodeInteger(huffmanLength(text), 7, 0x80) + huffmanEncode(text)
    : encodeString(text)

/** A size update to 0: our table is empty for as long as the connection lives (§6.3). */
export const emptyTable = encodeInteger(0, 5, 0x20)

/** An entry of the static table (§6.1). */
export const encodeIndexed = (index: number): string => encodeInteger(index, 7, 0x80)

const withoutIndexing = 0x00
const neverIndexed = 0x10

/** Fields that no intermediary may put into a table (§7.1.3). */
const sensitive = new Set(['authorization', 'cookie', 'proxy-authorization', 'txn-token'])

/** The beginning of a literal field, up to its value (§6.2.2, §6.2.3). */
export const encodeLiteralName = (name: string): string => {
  const kind = sensitive.has(name) ? neverIndexed : withoutIndexing
  const index = staticNameIndex.get(name)
  return index === undefined
    ? String.fromCharCode(kind) + encodeShortest(name)
    : encodeInteger(index, 4, kind)
}
