import { createHash, timingSafeEqual } from 'node:crypto'
import type { Clock, RandomBytes } from '#contract/clock'
import { pass, refuse, type Result } from '#contract/problem'
import { secret, type Secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'

/** Secrets for a first certificate, each good once and for a short time. */
export type JoinTokens = {
  /** Refuses with `rate-exceeded` while too many are outstanding. */
  readonly issue: (spiffeId: SpiffeId, lifetimeSeconds: number) => Result<IssuedJoinToken>
  /** Whose token this is, without spending it. */
  readonly find: (token: string) => SpiffeId | undefined
  /** Checks and deletes in one go: of two callers with one token, one gets the answer, the other undefined. */
  readonly spend: (token: string) => SpiffeId | undefined
  /** How many could still be spent. */
  readonly outstanding: () => number
}

export type IssuedJoinToken = { readonly token: Secret<string>; readonly expiresAtMs: number }

const maxOutstanding = 1000
const tokenBytes = 32

/**
 * Join tokens in memory, of which only hashes are kept. A restart forgets them, which is the safe side.
 *
 * @param onSpent Told of each token that was spent.
 */
export const memoryJoinTokens = (
  clock: Clock,
  randomBytes: RandomBytes,
  onSpent: (token: string) => void = () => {},
): JoinTokens => {
  type Entry = {
    readonly hash: Buffer
    readonly spiffeId: SpiffeId
    readonly expiresAtMs: number
  }
  let entries: readonly Entry[] = []

  const prune = () => {
    const nowMs = clock()
    entries = entries.filter(({ expiresAtMs }) => expiresAtMs > nowMs)
  }
  /** Looks at every entry, whichever fits, so that the time taken tells nothing. */
  const entryOf = (token: string) => {
    prune()
    const hash = hashOf(token)
    let found: Entry | undefined
    for (const entry of entries) if (timingSafeEqual(entry.hash, hash)) found = entry
    return found
  }

  return {
    issue: (spiffeId, lifetimeSeconds) => {
      prune()
      if (entries.length >= maxOutstanding)
        return refuse('rate-exceeded', { detail: `${maxOutstanding} join tokens are outstanding.` })
      const token = `sallyport-join-${randomBytes(tokenBytes).toString('base64url')}`
      const expiresAtMs = clock() + lifetimeSeconds * 1000
      entries = [...entries, { hash: hashOf(token), spiffeId, expiresAtMs }]
      return pass({ token: secret(token), expiresAtMs })
    },
    find: (token) => entryOf(token)?.spiffeId,
    spend: (token) => {
      const entry = entryOf(token)
      if (entry === undefined) return undefined
      entries = entries.filter((other) => other !== entry)
      onSpent(token)
      return entry.spiffeId
    },
    outstanding: () => {
      prune()
      return entries.length
    },
  }
}

const hashOf = (token: string) => createHash('sha256').update(token).digest()
