import type { QuarantineEntry } from '#contract/quarantine'
import type { Change } from './list.ts'

/** A change as the store has it: its id says where in the order of all it stands. */
export type StoredChange = {
  readonly id: string
  readonly change: Change
  /** When it was ordered, by the clock of the gateway that took the order. */
  readonly orderedAtMs: number
}

/** The store is away, is too slow or answered with an error. Its message has nothing of the command in it. */
export class StoreUnavailable extends Error {}

/** What the store has of a list. Each is '' if there is none. */
export type Extent = {
  /** Another one than before: all was lost, and this is another list. */
  readonly born: string
  /** Id of the oldest change that is kept. */
  readonly oldest: string
  readonly last: string
}

/**
 * Where gateways share a list. All of it rejects with `StoreUnavailable`. `sync.ts` alone decides what follows from what is
 * there.
 */
export type SharedStore = {
  readonly extent: () => Promise<Extent>
  /** Changes in order, from the one with this id on, that one too if it is still there. */
  readonly changesFrom: (id: string, max: number) => Promise<readonly StoredChange[]>
  readonly entries: () => Promise<readonly QuarantineEntry[]>
  readonly add: (
    entry: QuarantineEntry,
    maxEntries: number,
    nowMs: number,
  ) => Promise<'added' | 'there' | 'full'>
  readonly lift: (id: string, nowMs: number) => Promise<'lifted' | 'absent'>
  /** Drops entries that have ended, which everybody knows by himself. */
  readonly forget: (ids: readonly string[]) => Promise<void>
  /** `listener` is called whenever there may be something new. */
  readonly onNews: (listener: () => void) => void
  /** Makes sure that news still come; connects anew if they do not. */
  readonly checkNews: () => Promise<void>
  readonly close: () => void
}

/** Milliseconds and a count. */
export const changeId = /^(\d+)-(\d+)$/

/** Whether one change comes before another. */
export const isBefore = (one: string, other: string): boolean => {
  const [aMs = 0, aCount = 0] = one.split('-').map(Number)
  const [bMs = 0, bCount = 0] = other.split('-').map(Number)
  return aMs === bMs ? aCount < bCount : aMs < bMs
}
