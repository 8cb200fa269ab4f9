import type { Field, FieldMemo } from './field-memo.ts'
import { isFieldName, isFieldValue, isPseudoName } from '../field-rules.ts'
import { huffmanDecode } from './huffman.ts'
import { staticTable } from './static-table.ts'
import { latin1 } from './latin1.ts'

export type BlockLimits = {
  /** As SETTINGS_MAX_HEADER_LIST_SIZE counts: names, values, and 32 octets for each field. */
  readonly maxHeaderListBytes: number
  readonly maxFields: number
}

/**
 * - `compression`: not HPACK, so the connection cannot go on (RFC 9113 §4.3);
 * - `malformed`: a field that no message may have;
 * - `too-large`: beyond our limits.
 */
export type BlockFault = 'compression' | 'malformed' | 'too-large'

export type DecodedBlock = readonly string[] | BlockFault

const fieldOverheadBytes = 32
const isValid = (name: string, value: string): boolean =>
  (isFieldName(name) || isPseudoName(name)) && isFieldValue(value)

const staticFields: readonly Field[] = staticTable.map(([name, value]) => ({
  name,
  value,
  valid: isValid(name, value), // transfer-encoding is in the table
}))

/** Where the block is read; one a decoder, so that reading a number allocates nothing. */
type Cursor = { at: number; readonly end: number; readonly bytes: Buffer }

/**
 * Decodes a field block. Our table size is 0 (SETTINGS_HEADER_TABLE_SIZE), so a block is a pure function of its octets:
 * no dynamic table, and one answer's block can never change the meaning of another's.
 *
 * @returns Name, value, name, value …
 * @see RFC 7541 §6
 */
export const decodeBlock = (
  bytes: Buffer,
  start: number,
  end: number,
  limits: BlockLimits,
  memo: FieldMemo,
): DecodedBlock => {
  const cursor: Cursor = { at: start, end, bytes }
  const fields: string[] = []
  let listBytes = 0
  let malformed = false
  while (cursor.at < end) {
    const first = bytes[cursor.at] as number
    if ((first & 0xe0) === 0x20) {
      // A table size update: only at the beginning (§4.2), and to nothing but the 0 that we allow.
      if (fields.length > 0 || readInteger(cursor, 5) !== 0) return 'compression'
      continue
    }
    const field = first >= 0x80 ? indexedField(cursor) : literalField(cursor, first, memo)
    if (field === undefined) return 'compression'
    if (!field.valid) malformed = true // go on: what is not HPACK at all is the graver fault
    listBytes += field.name.length + field.value.length + fieldOverheadBytes
    if (listBytes > limits.maxHeaderListBytes || fields.length >= limits.maxFields * 2)
      return 'too-large'
    fields.push(field.name, field.value)
  }
  return malformed ? 'malformed' : fields
}

const indexedField = (cursor: Cursor): Field | undefined => staticFields[readInteger(cursor, 7) - 1] // undefined for 0 and for whatever would be in a dynamic table

const literalField = (cursor: Cursor, first: number, memo: FieldMemo): Field | undefined => {
  const { bytes } = cursor
  const start = cursor.at
  // With a table of size 0, incremental indexing (01…) adds nothing: an entry that does not fit empties the table (§4.4).
  const nameIndex = readInteger(cursor, first >= 0x40 ? 6 : 4)
  if (nameIndex < 0 || nameIndex > staticTable.length) return undefined
  const nameStart = cursor.at
  if (nameIndex === 0 && !skipString(cursor)) return undefined
  const valueStart = cursor.at
  if (!skipString(cursor)) return undefined

  const known = memo.get(bytes, start, cursor.at)
  if (known !== undefined) return known

  const end = cursor.at
  const name =
    nameIndex > 0 ? staticTable[nameIndex - 1]?.[0] : readString(cursor, nameStart, valueStart)
  const value = readString(cursor, valueStart, end)
  cursor.at = end
  if (name === undefined || value === undefined) return undefined
  const field = { name, value, valid: isValid(name, value) }
  memo.set(bytes, start, end, field)
  return field
}

const skipString = (cursor: Cursor): boolean => {
  const length = readInteger(cursor, 7)
  if (length < 0 || length > cursor.end - cursor.at) return false
  cursor.at += length
  return true
}

/** The string that lies between two places which `skipString` found. */
const readString = (cursor: Cursor, start: number, end: number): string | undefined => {
  const { bytes } = cursor
  const huffman = ((bytes[start] as number) & 0x80) !== 0
  cursor.at = start
  readInteger(cursor, 7)
  return huffman ? huffmanDecode(bytes, cursor.at, end) : latin1(bytes, cursor.at, end)
}

/**
 * Reads an integer with a prefix of `bits`.
 *
 * @returns -1 if it is cut off, or larger than anything that we could accept (four octets after the prefix).
 * @see RFC 7541 §5.1
 */
const readInteger = (cursor: Cursor, bits: number): number => {
  const { bytes, end } = cursor
  if (cursor.at >= end) return -1
  const prefix = (1 << bits) - 1
  let value = (bytes[cursor.at++] as number) & prefix
  if (value < prefix) return value
  for (let shift = 0; shift < 28; shift += 7) {
    if (cursor.at >= end) return -1
    const octet = bytes[cursor.at++] as number
    value += (octet & 0x7f) << shift
    if (octet < 0x80) return value
  }
  return -1
}
