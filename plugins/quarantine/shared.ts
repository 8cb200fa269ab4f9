import { pass, refuse, type Refusal } from '#contract/problem'
import type { Log } from '#contract/telemetry'
import { knownEntries, type KnownParts } from './known-entries.ts'
import type { QuarantineList } from './list.ts'
import { full, noEntry } from './memory.ts'
import { StoreUnavailable, type SharedStore } from './store.ts'
import { syncWith } from './sync.ts'

/** News that a dying server did not send come by this, and still within a second. */
const pollEveryMs = 500

/**
 * The list that several gateways share. News are pushed; twice a second each gateway also asks, so that a push that was
 * lost costs half a second. While the store is away the list that was last known stays in force, and cannot be changed.
 *
 * Waits for the first answer of the store, good or bad.
 */
export const sharedList = async (
  store: SharedStore,
  maxEntries: number,
  parts: KnownParts & { readonly log: Log },
): Promise<QuarantineList> => {
  const { clock } = parts
  const known = knownEntries(parts)
  const sync = syncWith({ ...parts, store, known, isKnown: parts.file?.found !== undefined })
  store.onNews(() => void sync.now('push'))
  await sync.now('poll')
  /** Those that the store has still to forget; they have ended, forgotten or not. */
  let ended: readonly string[] = []
  const poll = async () => {
    ended = [...ended, ...known.prune().map(({ id }) => id)]
    if (!(await sync.now('poll'))) return
    await store.checkNews()
    const told = ended
    ended = []
    await store.forget(told).catch(() => {
      ended = [...told, ...ended]
    })
  }
  const timer = setInterval(() => void poll(), pollEveryMs).unref()

  const add: QuarantineList['add'] = async (entry) => {
    let outcome: 'added' | 'there' | 'full'
    try {
      outcome = await store.add(entry, maxEntries, Date.parse(entry.createdAt))
    } catch (cause) {
      return unreachable(cause, `whether it was added as ${entry.id}`)
    }
    if (outcome === 'full') return refuse('order-refused', { detail: full(maxEntries) })
    await sync.now('order')
    // It is shared; should the store have gone since, it is in force here all the same.
    if (known.index.get(entry.id) === undefined)
      await known.apply([{ add: entry }], known.lastChange())
    const held = known.index.get(entry.id)
    if (held === undefined) throw new Error('an entry that was put in is not there')
    return pass({ held, warnings: [] })
  }

  const lift: QuarantineList['lift'] = async (id) => {
    // Perhaps it has just been added elsewhere.
    if (known.index.get(id) === undefined && !(await sync.now('order')))
      return refuse('quarantine-unavailable', {
        detail: `Redis did not say whether there is ${JSON.stringify(id.slice(0, 64))}.`,
      })
    const held = known.index.get(id)
    if (held === undefined) return refuse('order-refused', { detail: noEntry(id) })
    let outcome: 'lifted' | 'absent'
    try {
      outcome = await store.lift(id, clock())
    } catch (cause) {
      return unreachable(cause, 'whether it was lifted')
    }
    await sync.now('order')
    if (outcome === 'absent') return refuse('order-refused', { detail: noEntry(id) })
    if (known.index.get(id) !== undefined) await known.apply([{ lift: id }], known.lastChange())
    return pass({ held, warnings: [] })
  }

  return {
    index: known.index,
    isKnown: sync.isKnown,
    add,
    lift,
    onAdded: known.onAdded,
    status: () => ({
      store: 'redis',
      entries: known.index.size(),
      lastChange: known.lastChange(),
      ageSeconds: Math.round(sync.ageSeconds()),
    }),
    close: async () => {
      clearInterval(timer)
      store.close()
      await known.close()
    },
  }
}

const unreachable = (cause: unknown, unsure: string): Refusal => {
  if (!(cause instanceof StoreUnavailable)) throw cause
  return refuse('quarantine-unavailable', {
    detail: `Redis did not confirm it: the list shows ${unsure} once Redis answers.`,
    cause: cause.message,
  })
}
