import type { PhaseProgram } from './phase-program.ts'
import type { State } from './state.ts'

/** Where a scan that was interrupted goes on. */
export type ScanCursor = { scan: number; entry: number }

/** Bytes that may be scanned between two looks at the clock: about a millisecond. */
const bytesPerLook = 16_384

const presentOnce: readonly string[] = ['']

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
      if (bytes > bytesPerLook && isLate()) return false
      const value = scan.variable.read(state)
      if (scan.scanCounts) mark(hits, scan.scanCounts(value === undefined ? [] : presentOnce))
      if (value === undefined) continue
      bytes = bytes > bytesPerLook ? value.length : bytes + value.length
      mark(hits, scan.scanEntry('', value))
      continue
    }
    const { keys, values } = scan.variable.read(state)
    if (cursor.entry === 0 && scan.scanCounts) mark(hits, scan.scanCounts(keys))
    for (; cursor.entry < values.length; cursor.entry++) {
      if (bytes > bytesPerLook) {
        if (isLate()) return false
        bytes = 0
      }
      const value = values[cursor.entry] ?? ''
      bytes += value.length + 32
      mark(hits, scan.scanEntry(keys[cursor.entry] ?? '', value))
    }
  }
  return true
}

const mark = (hits: Int32Array, found: readonly number[]): void => {
  for (let i = 0; i < found.length; i++) {
    const hit = found[i] ?? 0
    const unit = hit >>> 5
    hits[unit] = (hits[unit] ?? 0) | (1 << (hit & 31))
  }
}
