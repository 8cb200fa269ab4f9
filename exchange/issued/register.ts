import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import { noRevocations, type Revocations, type Revoked } from './revocations.ts'

export const issuedKinds = ['jwt-svid', 'access-token', 'txn-token', 'x509-svid'] as const

/** One credential that was issued and has not ended. */
export type Issued = {
  /** `jti` of a token, serial of a certificate. */
  readonly id: string
  readonly kind: (typeof issuedKinds)[number]
  readonly subject: SpiffeId
  /** Who asked for it. */
  readonly client: string
  /** '' for a certificate. */
  readonly audience: string
  readonly kid: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  /** SHA-256 of the signing input of the token that it came from, '' if it came from none. */
  readonly parent: string
  /** The same of itself, for a token; '' for a certificate. */
  readonly fingerprint: string
}

export type IssuedFilter = { readonly subject?: string; readonly kind?: string }

/** Who holds what until when. */
export type IssuedRegister = {
  readonly add: (issued: Issued) => void
  /** What has not ended, the earliest end first. */
  readonly list: (filter: IssuedFilter) => readonly (Issued & { readonly revoked: boolean })[]
  /** Undefined for what is not known, or not known any more. */
  readonly find: (id: string) => Issued | undefined
  /**
   * Takes an id back until its end, and the tokens that are known to have come from it. Says false when no more can be
   * remembered, here or through a restart: then it may come back.
   */
  readonly revoke: (id: string, expiresAtMs: number) => Promise<boolean>
  readonly isRevoked: (id: string) => boolean
  /** How many had to be forgotten before their end since the start. */
  readonly forgotten: () => number
}

/**
 * Remembers in this process, at most `maxEntries` credentials: beyond that the oldest are forgotten, which costs an entry in
 * a list, and that what comes from one of them ends with it. What was revoked is never forgotten before its end, nor by a
 * restart, after which the list is empty.
 *
 * @param before What was revoked before the start, as `revocations` had it.
 */
export const issuedRegister = (
  maxEntries: number,
  clock: Clock,
  revocations: Revocations = noRevocations,
  before: Revoked = new Map(),
): IssuedRegister => {
  const entries = new Map<string, Issued>()
  const revoked = new Map(before)
  let forgotten = 0
  /** One iterator for good: a new one would walk over all that was deleted before it finds the oldest. */
  let fromOldest = entries.keys()
  let prunedAtMs = 0

  const prune = () => {
    const nowMs = clock()
    if (nowMs - prunedAtMs < pruneEveryMs) return
    prunedAtMs = nowMs
    for (const [id, { expiresAtMs }] of entries) if (expiresAtMs <= nowMs) entries.delete(id)
    for (const [id, expiresAtMs] of revoked) if (expiresAtMs <= nowMs) revoked.delete(id)
  }

  /** The ids that come with this one: itself, what came from it, and what came from that. */
  const familyOf = (id: string, expiresAtMs: number): ReadonlyMap<string, number> => {
    const family = new Map([[id, expiresAtMs]])
    const parents = new Set([entries.get(id)?.fingerprint ?? ''])
    parents.delete('')
    if (parents.size === 0) return family
    // Children come after their parents, in this map too, so that once through it finds them all.
    for (const child of entries.values())
      if (parents.has(child.parent)) {
        family.set(child.id, child.expiresAtMs)
        if (child.fingerprint !== '') parents.add(child.fingerprint)
      }
    return family
  }

  return {
    add: (issued) => {
      prune()
      if (entries.size >= maxEntries) {
        let oldest = fromOldest.next()
        if (oldest.done) {
          fromOldest = entries.keys()
          oldest = fromOldest.next()
        }
        if (!oldest.done) entries.delete(oldest.value)
        forgotten++
      }
      entries.set(issued.id, issued)
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
    find: (id) => entries.get(id),
    revoke: async (id, expiresAtMs) => {
      prune()
      const family = familyOf(id, expiresAtMs)
      const added = [...family.keys()].filter((one) => !revoked.has(one))
      if (revoked.size + added.length > maxEntries) return false
      for (const [one, endMs] of family) revoked.set(one, Math.max(endMs, revoked.get(one) ?? 0))
      return revocations.add([...family.keys()], revoked)
    },
    isRevoked: (id) => (revoked.get(id) ?? 0) > clock(),
    forgotten: () => forgotten,
  }
}

const pruneEveryMs = 10_000
