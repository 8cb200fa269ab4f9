import type { Clock } from '#contract/clock'
import { inSlices } from '#contract/in-slices'
import type { Issued } from './issued.ts'
import { noIssuedJournal, type IssuedJournal } from './journal.ts'
import { noRevocations, type Revocations, type Revoked } from './revocations.ts'

export type IssuedFilter = { readonly subject?: string; readonly kind?: string }

/** `parent-revoked`: while it was made, what it comes from was taken back. `unwritable`: it would be forgotten by a restart. */
export type Registered = 'registered' | 'parent-revoked' | 'unwritable'

/** Who holds what until when. */
export type IssuedRegister = {
  /** Before it is given out: what is not `registered` must not be. */
  readonly add: (issued: Issued) => Promise<Registered>
  /** What has not ended, the earliest end first. */
  readonly list: (filter: IssuedFilter) => readonly (Issued & { readonly revoked: boolean })[]
  /** The same in no order, in several turns: a list of a hundred thousand would hold up whoever waits for a token. */
  readonly each: (show: (issued: Issued, isRevoked: boolean) => void) => Promise<void>
  /** Undefined for what is not known, or not known any more. */
  readonly find: (id: string) => Issued | undefined
  /**
   * Takes an id back until its end, and the tokens that are known to have come from it. Says false when no more can be
   * remembered, here or through a restart: then it may come back.
   *
   * @param fingerprint Of the token itself, for one that the register may have forgotten.
   */
  readonly revoke: (id: string, expiresAtMs: number, fingerprint?: string) => Promise<boolean>
  readonly isRevoked: (id: string) => boolean
  /** How many had to be forgotten before their end since the start. */
  readonly forgotten: () => number
}

/** Where a register keeps what must outlive the process, and what it had kept before the start. */
export type RegisterKeeping = {
  readonly revocations: Revocations
  readonly revoked: Revoked
  readonly journal: IssuedJournal
  readonly issued: readonly Issued[]
}

const keepingNothing: RegisterKeeping = {
  revocations: noRevocations,
  revoked: new Map(),
  journal: noIssuedJournal,
  issued: [],
}

/**
 * Remembers in this process, at most `maxEntries` credentials: beyond that the oldest are forgotten, which costs an entry in
 * a list, and that what comes from one of them ends with it. What was revoked is never forgotten before its end, nor is any
 * of it by a restart.
 */
export const issuedRegister = (
  maxEntries: number,
  clock: Clock,
  { revocations, revoked: before, journal, issued: known }: RegisterKeeping = keepingNothing,
): IssuedRegister => {
  const entries = new Map(known.map((one) => [one.id, one]))
  const revoked = new Map(before)
  /** Fingerprints of what was revoked since the start, by their end: for what is being made of it at that moment. */
  const revokedPrints = new Map<string, number>()
  let forgotten = 0
  /**
   * One iterator for many: a new one would walk over all that was deleted before it finds the oldest. Not for good: one that
   * stands still keeps every table that the map has had since, with all that was in it.
   */
  let fromOldest: Iterator<string> | undefined
  let prunedAtMs = 0

  const prune = () => {
    const nowMs = clock()
    if (nowMs - prunedAtMs < pruneEveryMs) return
    prunedAtMs = nowMs
    fromOldest = undefined
    for (const [id, { expiresAtMs }] of entries) if (expiresAtMs <= nowMs) entries.delete(id)
    for (const ended of [revoked, revokedPrints])
      for (const [id, expiresAtMs] of ended) if (expiresAtMs <= nowMs) ended.delete(id)
  }

  const keep = (issued: Issued) => {
    if (entries.size >= maxEntries) {
      fromOldest ??= entries.keys()
      let oldest = fromOldest.next()
      if (oldest.done) {
        fromOldest = entries.keys()
        oldest = fromOldest.next()
      }
      if (!oldest.done) entries.delete(oldest.value)
      forgotten++
    }
    entries.set(issued.id, issued)
  }

  /** The ids that come with this one: itself, what came from it, and what came from that. */
  const familyOf = (id: string, expiresAtMs: number, fingerprint: string): Family => {
    const ids = new Map([[id, expiresAtMs]])
    const prints = new Map([[fingerprint, expiresAtMs]])
    prints.delete('')
    if (prints.size === 0) return { ids, prints }
    // Children come after their parents, in this map too, so that once through it finds them all.
    for (const child of entries.values())
      if (prints.has(child.parent)) {
        ids.set(child.id, child.expiresAtMs)
        if (child.fingerprint !== '') prints.set(child.fingerprint, child.expiresAtMs)
      }
    return { ids, prints }
  }

  return {
    add: async (issued) => {
      prune()
      if (revokedPrints.has(issued.parent)) return 'parent-revoked'
      keep(issued) // before anything is waited for: a revocation meanwhile finds it
      if (!(await journal.add(issued))) return 'unwritable'
      return revoked.has(issued.id) ? 'parent-revoked' : 'registered'
    },
    list: ({ subject, kind }) => {
      const nowMs = clock()
      return [...entries.values()]
        .filter(({ expiresAtMs }) => expiresAtMs > nowMs)
        .filter((one) => subject === undefined || one.subject === subject)
        .filter((one) => kind === undefined || one.kind === kind)
        .toSorted((one, other) => one.expiresAtMs - other.expiresAtMs)
        .map((one) => ({ ...one, revoked: revoked.has(one.id) }))
    },
    each: (show) => {
      const nowMs = clock()
      return inSlices(entries.values(), (one) => {
        if (one.expiresAtMs > nowMs) show(one, revoked.has(one.id))
      })
    },
    find: (id) => entries.get(id),
    revoke: async (id, expiresAtMs, fingerprint = entries.get(id)?.fingerprint ?? '') => {
      prune()
      const { ids, prints } = familyOf(id, expiresAtMs, fingerprint)
      const added = [...ids.keys()].filter((one) => !revoked.has(one))
      if (revoked.size + added.length > maxEntries) return false
      for (const [one, endMs] of ids) revoked.set(one, Math.max(endMs, revoked.get(one) ?? 0))
      for (const [print, endMs] of prints) revokedPrints.set(print, endMs)
      return revocations.add([...ids.keys()], revoked)
    },
    isRevoked: (id) => (revoked.get(id) ?? 0) > clock(),
    forgotten: () => forgotten,
  }
}

type Family = {
  readonly ids: ReadonlyMap<string, number>
  readonly prints: ReadonlyMap<string, number>
}

const pruneEveryMs = 10_000
