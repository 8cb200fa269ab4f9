import type { Clock } from '#contract/clock'
import { quarantineKinds, type QuarantineEntry } from '#contract/quarantine'
import type { Meter } from '#contract/telemetry'
import { entryIndex, type EntryIndex } from './entry-index.ts'
import type { QuarantineFile } from './file.ts'
import type { Change } from './list.ts'

/** The entries that this gateway knows: in force, on its disk, and told to whoever has to cut what is open. */
export type KnownEntries = {
  readonly index: EntryIndex
  /** The last change that is in force here; '' before the first. */
  readonly lastChange: () => string
  /**
   * Puts changes into force.
   *
   * @returns Once they are written down; what went wrong with that.
   */
  readonly apply: (changes: readonly Change[], lastChange: string) => Promise<readonly string[]>
  /** Puts other entries in place of all. */
  readonly replace: (entries: readonly QuarantineEntry[], lastChange: string) => Promise<void>
  /** Takes out those that have ended, and says which. Whoever keeps the list calls it now and then. */
  readonly prune: () => readonly QuarantineEntry[]
  readonly onAdded: (listener: () => void) => () => void
  readonly close: () => Promise<void>
}

export type KnownParts = {
  readonly clock: Clock
  readonly meter: Meter
  /** Undefined where nothing is to survive a restart. */
  readonly file: QuarantineFile | undefined
}

export const knownEntries = ({ clock, meter, file }: KnownParts): KnownEntries => {
  const index = entryIndex()
  const listeners = new Set<() => void>()
  const gauges = quarantineKinds.map(
    (kind) => [kind, meter.gauge('sallyport_quarantine_entries', { kind })] as const,
  )
  const all = {
    size: index.size,
    entries: () => Array.from(index.all(), ({ entry }) => entry),
  }
  let lastChange = file?.found?.lastChange ?? ''
  for (const entry of file?.found?.entries ?? []) index.put(entry)

  const showCounts = () => {
    const counts = index.counts()
    for (const [kind, show] of gauges) show(counts[kind])
  }
  const told = (isAdded: boolean) => {
    showCounts()
    if (isAdded) for (const listener of listeners) listener()
  }
  const prune = () => {
    const ended = index.prune(clock())
    if (ended.length > 0) showCounts()
    return ended
  }
  prune()
  showCounts()

  return {
    index,
    lastChange: () => lastChange,
    apply: async (changes, last) => {
      for (const change of changes)
        if ('add' in change) index.put(change.add)
        else index.remove(change.lift)
      lastChange = last
      told(changes.some((change) => 'add' in change))
      const trouble = await file?.append(changes, last, all)
      return trouble === undefined ? [] : [trouble]
    },
    replace: async (entries, last) => {
      const stay = new Set(entries.map(({ id }) => id))
      const isNew = entries.some(({ id }) => index.get(id) === undefined)
      for (const { entry } of index.all()) if (!stay.has(entry.id)) index.remove(entry.id)
      for (const entry of entries) if (index.get(entry.id) === undefined) index.put(entry)
      lastChange = last
      told(isNew)
      await file?.rewrite(last, all)
    },
    prune,
    onAdded: (listener) => {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    close: async () => {
      await file?.close()
    },
  }
}
