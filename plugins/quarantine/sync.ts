import type { Clock } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import type { KnownEntries } from './known-entries.ts'
import type { HeardBy } from './list.ts'
import {
  changeId,
  isBefore,
  StoreUnavailable,
  type SharedStore,
  type StoredChange,
} from './store.ts'

/** Keeps what this gateway knows in step with what is shared. */
export type Sync = {
  /** Catches up with everything that was there when it was called. False if the store could not be asked. */
  readonly now: (heard: HeardBy) => Promise<boolean>
  /** False until the store, or the file, was once read. */
  readonly isKnown: () => boolean
  readonly ageSeconds: () => number
}

export type SyncParts = {
  readonly store: SharedStore
  readonly known: KnownEntries
  readonly clock: Clock
  readonly meter: Meter
  readonly log: Log
  /** What is known was read from a file. */
  readonly isKnown: boolean
}

const portion = 1000
/** What was taken once may go back in. */
const noLimit = Number.MAX_SAFE_INTEGER

/**
 * Follows the changes of the shared list one after the other. The last one that is in force here is looked for among them:
 *
 * - it is there: what came after it is put into force;
 * - it is older than the oldest that is kept: this gateway was away for long, and reads the whole list;
 * - it should be there and is not: the store has lost all, or fell back to a copy that had not heard of it. What is known
 *   here goes back in, for else an outage would let those in who are cut off. It may bring back what was lifted meanwhile.
 */
export const syncWith = ({ store, known, clock, meter, log, ...parts }: SyncParts): Sync => {
  const propagated = {
    order: meter.histogram('sallyport_quarantine_propagation_seconds', { heard: 'order' }),
    push: meter.histogram('sallyport_quarantine_propagation_seconds', { heard: 'push' }),
    poll: meter.histogram('sallyport_quarantine_propagation_seconds', { heard: 'poll' }),
  }
  const showAge = meter.gauge('sallyport_quarantine_age_seconds', {})
  let isKnown = parts.isKnown
  let isWell = true
  let seenAt = performance.now()
  let current: Promise<unknown> = Promise.resolve()
  let next: Promise<boolean> | undefined

  const ageSeconds = () => (performance.now() - seenAt) / 1000

  const readWhole = async (putBack: boolean): Promise<void> => {
    const { born, last } = await store.extent() // before the entries: what is changed meanwhile comes after it again
    const theirs = await store.entries()
    const ids = new Set(theirs.map(({ id }) => id))
    known.prune()
    const missing = putBack
      ? Array.from(known.index.all(), ({ entry }) => entry).filter(({ id }) => !ids.has(id))
      : []
    if (missing.length > 0)
      log.warn(
        { entries: missing.length },
        'the shared quarantine lost what is known here: it is put back',
      )
    for (let i = 0; i < missing.length; i += portion)
      await Promise.all(
        missing.slice(i, i + portion).map((entry) => store.add(entry, noLimit, clock())),
      )
    await known.replace([...theirs, ...missing], placeText(born, last))
    isKnown = true
  }

  const follow = async (
    born: string,
    changes: readonly StoredChange[],
    heard: HeardBy,
  ): Promise<void> => {
    const last = changes.at(-1)
    if (last === undefined) return
    const written = known.apply(
      changes.map(({ change }) => change),
      placeText(born, last.id),
    )
    const nowMs = clock()
    for (const { orderedAtMs } of changes)
      propagated[heard](Math.max(0, nowMs - orderedAtMs) / 1000)
    await written
  }

  const catchUp = async (heard: HeardBy): Promise<void> => {
    for (;;) {
      if (!isKnown) return readWhole(false)
      const ours = placeIn(known.lastChange())
      const changes = ours ? await store.changesFrom(ours.id, portion) : []
      if (!ours || changes[0]?.id !== ours.id) {
        const { born, oldest } = await store.extent()
        if (!ours && born === '' && known.index.size() === 0) return undefined // it has not begun
        return readWhole(!ours || born !== ours.born || !isBefore(ours.id, oldest))
      }
      await follow(ours.born, changes.slice(1), heard)
      if (changes.length < portion) return undefined
    }
  }

  const run = async (heard: HeardBy): Promise<boolean> => {
    try {
      await catchUp(heard)
      if (!isWell) log.info({}, 'the shared quarantine is in reach again')
      isWell = true
      seenAt = performance.now()
      return true
    } catch (cause) {
      if (!(cause instanceof StoreUnavailable))
        log.error({ err: cause }, 'a bug of ours: the quarantine was not brought up to date')
      else if (isWell)
        log.warn(
          { reason: cause.message },
          isKnown
            ? 'the shared quarantine is out of reach: the list that was last known stays in force'
            : 'the shared quarantine is out of reach and no list is known: requests are refused',
        )
      isWell = false
      return false
    } finally {
      showAge(ageSeconds())
    }
  }

  return {
    now: (heard) => {
      // One at a time; all who ask while one runs share the one after it.
      next ??= current.then(() => {
        next = undefined
        const running = run(heard)
        current = running
        return running
      })
      return next
    },
    isKnown: () => isKnown,
    ageSeconds,
  }
}

/** The last change, as it is kept: of which list, and which one. */
const placeText = (born: string, id: string): string => (id === '' ? '' : `${born}/${id}`)

const placeIn = (text: string): { readonly born: string; readonly id: string } | undefined => {
  const [born = '', id = ''] = text.split('/', 2)
  return changeId.test(id) ? { born, id } : undefined
}
