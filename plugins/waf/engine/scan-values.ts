import type { PhaseProgram, VariableScan } from './phase-program.ts'
import type { State } from './state.ts'

/** Where a scan that was interrupted goes on. */
export type ScanCursor = { scan: number; entry: number }

/** Bytes that may be scanned between two looks at the clock: about a millisecond. */
const bytesPerLook = 16_384

/**
 * Asks of all values which rules may match, and marks in `hits` the bits of those that do.
 *
 * @returns Whether it came to the end; if not, call it again with the same cursor.
 */
export const scanValues = (
  { scans }: PhaseProgram,
  state: State,
  hits: Int32Array,
  cursor: ScanCursor,
  isLate: () => boolean,
): boolean => {
  let bytes = 0
  for (; cursor.scan < scans.length; cursor.scan++, cursor.entry = 0) {
    const scan = scans[cursor.scan]
    if (!scan) continue
    if (scan.variable.kind === 'scalar') {
      const value = scan.variable.read(state)
      for (const { scanner } of scan.counted)
        mark(hits, scanner.scan(value === undefined ? '0' : '1'))
      if (value === undefined) continue
      for (const { scanner } of scan.chosen) mark(hits, scanner.scan(value))
      bytes += value.length
    } else {
      const { keys, values } = scan.variable.read(state)
      if (cursor.entry === 0) countEntries(scan, keys, hits)
      for (; cursor.entry < values.length; cursor.entry++) {
        const value = values[cursor.entry] ?? ''
        if (bytes > bytesPerLook) {
          if (isLate()) return false
          bytes = 0
        }
        bytes += value.length + 32
        scanEntry(scan, keys[cursor.entry] ?? '', value, hits)
      }
    }
    if (bytes > bytesPerLook) {
      bytes = 0
      if (isLate()) {
        cursor.scan++
        cursor.entry = 0
        return false
      }
    }
  }
  return true
}

const scanEntry = (scan: VariableScan, key: string, value: string, hits: Int32Array): void => {
  if (scan.keyed.size > 0) {
    const scanner = scan.keyed.get(key)
    if (scanner) mark(hits, scanner.scan(value))
  }
  for (const { accepts, scanner } of scan.chosen)
    if (accepts === undefined || accepts(key)) mark(hits, scanner.scan(value))
}

const countEntries = (scan: VariableScan, keys: readonly string[], hits: Int32Array): void => {
  for (const { accepts, scanner } of scan.counted) {
    let count = 0
    if (accepts === undefined) count = keys.length
    else for (const key of keys) if (accepts(key)) count++
    mark(hits, scanner.scan(String(count)))
  }
}

const mark = (hits: Int32Array, found: readonly number[]): void => {
  for (const hit of found) {
    const unit = hit >>> 5
    hits[unit] = (hits[unit] ?? 0) | (1 << (hit & 31))
  }
}
