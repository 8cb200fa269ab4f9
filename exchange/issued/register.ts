import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'

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
   * remembered: then it is not revoked.
   */
  readonly revoke: (id: string, expiresAtMs: number) => boolean
  readonly isRevoked: (id: string) => boolean
  /** How many had to be forgotten before their end since the start. */
  readonly forgotten: () => number
}

/**
 * Remembers in this process, at most `maxEntries` credentials: beyond that the oldest are forgotten, which costs an entry in
 * a list and no protection. What was revoked is never forgotten before its end. After a restart both are empty.
 */
export const issuedRegister = (maxEntries: number, clock: Clock): IssuedRegister => {
  const entries = new Map<string, Issued>()
  const revoked = new Map<string, number>()
  let forgotten = 0
  let prunedAtMs = 0

  const prune = () => {
    const nowMs = clock()
    if (nowMs - prunedAtMs < pruneEveryMs) return
    prunedAtMs = nowMs
    for (const [id, { expiresAtMs }] of entries) if (expiresAtMs <= nowMs) entries.delete(id)
    for (const [id, expiresAtMs] of revoked) if (expiresAtMs <= nowMs) revoked.delete(id)
  }

  const revokeChildren = (fingerprint: string) => {
    if (fingerprint === '') return
    for (const child of entries.values())
      if (child.parent === fingerprint && !revoked.has(child.id))
        revoke(child.id, child.expiresAtMs)
  }
  const revoke = (id: string, expiresAtMs: number): boolean => {
    if (revoked.size >= maxEntries) return false
    revoked.set(id, Math.max(expiresAtMs, revoked.get(id) ?? 0))
    revokeChildren(entries.get(id)?.fingerprint ?? '')
    return true
  }

  return {
    add: (issued) => {
      prune()
      if (entries.size >= maxEntries) {
        const [oldest] = entries.keys()
        if (oldest !== undefined) entries.delete(oldest)
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
    revoke: (id, expiresAtMs) => {
      prune()
      return revoke(id, expiresAtMs)
    },
    isRevoked: (id) => (revoked.get(id) ?? 0) > clock(),
    forgotten: () => forgotten,
  }
}

const pruneEveryMs = 10_000
