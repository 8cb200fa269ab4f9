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

/**
 * Where gateways share a list. All of it rejects with `StoreUnavailable`. `sync.ts` alone decides what follows from what is
 * there.
 */
export type SharedStore = {
  /** Id of the last change; '' if there was none, or the store has lost it. */
  readonly lastChange: () => Promise<string>
  /** Changes in order, from the one with this id on, that one too if it is still there. */
  readonly changesFrom: (id: string, max: number) => Promise<readonly StoredChange[]>
  /** Id of the oldest change that is still there; '' if none is. */
  readonly oldestChange: () => Promise<string>
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

/** Whether one change comes before another; undefined if the first is not an id of this store. */
export const isBefore = (one: string, other: string): boolean | undefined => {
  const [a, b] = [changeId.exec(one), changeId.exec(other)]
  if (a === null || b === null) return undefined
  const [aMs, aCount, bMs, bCount] = [a[1], a[2], b[1], b[2]].map(Number)
  return aMs === bMs ? Number(aCount) < Number(bCount) : Number(aMs) < Number(bMs)
}

const changeId = /^(\d+)-(\d+)$/
