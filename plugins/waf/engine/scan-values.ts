import type { PhaseProgram } from './phase-program.ts'
import type { State } from './state.ts'
import { longBytes } from './evaluate.ts'
import type { VariableScan } from './variable-scan.ts'

/** Where a scan that was interrupted goes on. */
export type ScanCursor = {
  scan: number
  entry: number
  /** A long value in the midst of its scan. */
  running: Generator<undefined, readonly number[]> | undefined
}

export const newCursor = (): ScanCursor => ({ scan: 0, entry: 0, running: undefined })

/** Bytes that may be scanned between two looks at the clock. */
const bytesPerLook = 1024
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
    const { keys, values } = valuesOf(scan, state)
    if (cursor.entry === 0 && scan.scanCounts && !cursor.running) mark(hits, scan.scanCounts(keys))
    for (; cursor.entry < values.length; cursor.entry++) {
      const value = values[cursor.entry] ?? ''
      const key = keys[cursor.entry] ?? ''
      if (value.length > longBytes) {
        if (!scanLong(scan, key, value, hits, cursor, isLate)) return false
        continue
      }
      if (bytes > bytesPerLook) {
        if (isLate()) return false
        bytes = 0
      }
      bytes += value.length + 32
      mark(hits, scan.scanEntry(key, value))
    }
  }
  return true
}

const nothing: readonly string[] = []

const valuesOf = ({ variable }: VariableScan, state: State) => {
  if (variable.kind === 'collection') return variable.read(state)
  const value = variable.read(state)
  return value === undefined
    ? { keys: nothing, values: nothing }
    : { keys: presentOnce, values: [value] }
}

const scanLong = (
  scan: VariableScan,
  key: string,
  value: string,
  hits: Int32Array,
  cursor: ScanCursor,
  isLate: () => boolean,
): boolean => {
  const running = (cursor.running ??= scan.scanSlowly(key, value))
  for (;;) {
    const { done, value: found } = running.next()
    if (done) {
      mark(hits, found)
      cursor.running = undefined
      return true
    }
    if (isLate()) return false
  }
}

const mark = (hits: Int32Array, found: readonly number[]): void => {
  for (let i = 0; i < found.length; i++) {
    const hit = found[i] ?? 0
    const unit = hit >>> 5
    hits[unit] = (hits[unit] ?? 0) | (1 << (hit & 31))
  }
}
