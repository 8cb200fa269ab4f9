import type { Result } from '#contract/problem'
import type { QuarantineEntry, QuarantineStatus } from '#contract/quarantine'
import type { EntryIndex, Held } from './entry-index.ts'

/** What became of a change that is in force here. */
export type Changed = { readonly held: Held; readonly warnings: readonly string[] }

/** Where the entries are kept. Looking something up never waits and never asks anybody. */
export type QuarantineList = {
  /** Those in force here, to look something up in. */
  readonly index: Pick<EntryIndex, 'findWhere' | 'findWho' | 'all'>
  /** False until a list was once read. */
  readonly isKnown: () => boolean
  /**
   * In force here once it resolves; elsewhere as soon as they hear of it.
   *
   * @returns Refuses with `order-refused` when the list is full, with `quarantine-unavailable` when those who share it
   *   could not be told.
   */
  readonly add: (entry: QuarantineEntry) => Promise<Result<Changed>>
  /** Refuses with `order-refused` when there is none of this id, and as `add` does. */
  readonly lift: (id: string) => Promise<Result<Changed>>
  /** Called at once whenever an entry came into force, whoever added it. Returns how to stop that. */
  readonly onAdded: (listener: () => void) => () => void
  readonly status: () => QuarantineStatus
  readonly close: () => Promise<void>
}

/** How a gateway heard of a change. */
export type HeardBy = 'order' | 'push' | 'poll'

/** A change, as it is written down and passed on. */
export type Change = { readonly add: QuarantineEntry } | { readonly lift: string }
