import { pass, refuse } from '#contract/problem'
import type { KnownParts } from './known-entries.ts'
import { knownEntries } from './known-entries.ts'
import type { QuarantineList } from './list.ts'

const pruneEveryMs = 10_000

/** The list of one gateway alone; with a file it survives a restart. */
export const memoryList = (maxEntries: number, parts: KnownParts): QuarantineList => {
  const known = knownEntries(parts)
  const propagated = parts.meter.histogram('sallyport_quarantine_propagation_seconds', {
    heard: 'order',
  })
  const timer = setInterval(known.prune, pruneEveryMs).unref()
  let changes = Number(known.lastChange())

  const add: QuarantineList['add'] = async (entry) => {
    if (known.index.size() >= maxEntries) known.prune()
    if (known.index.size() >= maxEntries)
      return refuse('order-refused', { detail: full(maxEntries) })
    changes += 1
    const written = known.apply([{ add: entry }], String(changes))
    propagated((parts.clock() - Date.parse(entry.createdAt)) / 1000)
    const held = known.index.get(entry.id)
    if (held === undefined) throw new Error('an entry that was put in is not there')
    return pass({ held, warnings: await written })
  }

  return {
    index: known.index,
    isKnown: () => true,
    add,
    lift: async (id) => {
      const held = known.index.get(id)
      if (held === undefined) return refuse('order-refused', { detail: noEntry(id) })
      changes += 1
      return pass({ held, warnings: await known.apply([{ lift: id }], String(changes)) })
    },
    onAdded: known.onAdded,
    status: () => ({
      store: 'memory',
      entries: known.index.size(),
      lastChange: known.lastChange(),
      ageSeconds: 0,
    }),
    close: () => {
      clearInterval(timer)
      return known.close()
    },
  }
}

export const full = (maxEntries: number): string =>
  `There are ${maxEntries} entries, as many as may be: lift some, or raise quarantine.maxEntries.`

export const noEntry = (id: string): string =>
  `There is no entry ${JSON.stringify(id.slice(0, 64))}: it was lifted, has ended, or never was.`
