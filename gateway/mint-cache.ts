import { isPast } from '#contract/clock'
import { pass, type Result } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Soon } from '#contract/step'
import type { Meter } from '#contract/telemetry'
import type { MintedToken, MintRequest } from '#contract/token-exchange'
import { twoGenerations } from '#contract/two-generations'
import { underWay } from '#contract/under-way'

/** A minted token, and whether it came without a question. */
export type Mint = { readonly minted: MintedToken; readonly fromCache: boolean }

/**
 * The token that it is minted from, and who its caller is in the mesh by the mapping of the gateway. The same object for the
 * same token is found faster, by the key that it was found by before.
 */
export type Parent = {
  readonly fingerprint: string
  readonly expiresAtMs: number
  readonly subject: SpiffeId
  readonly last: { audience: string; type: string; key: string }
}

export const parentOf = (
  { fingerprint, expiresAtMs }: Pick<Parent, 'fingerprint' | 'expiresAtMs'>,
  subject: SpiffeId,
): Parent => ({ fingerprint, expiresAtMs, subject, last: { audience: '', type: '', key: '' } })

export type MintCache = {
  /** From the cache, or asked for; those who want the same at once share one question. */
  readonly take: (parent: Parent, request: MintRequest, nowMs: number) => Soon<Result<Mint>>
  readonly size: () => number
}

type Ask = (request: MintRequest) => Promise<Result<MintedToken>>
type Entry = {
  readonly minted: MintedToken
  readonly mint: Mint
  /** By our clock; that of the exchange may differ. */
  readonly askedAtMs: number
  refreshAtMs: number
}

/** A token this close to its end may be too late at the upstream. */
const safetyMs = 5000
/** How long after a refresh that failed the next one is tried. */
const retryAfterMs = 2000

/**
 * Keeps minted tokens, at most `maxEntries` at a time. From two thirds of its life on a token is asked for anew in the
 * background, while the old one goes on being used until shortly before it ends: so the exchange may be away meanwhile.
 *
 * What was minted for another than the mapping says now is neither kept nor used: a reload may have changed the mapping,
 * and the exchange is asked until it agrees.
 */
export const mintCache = (ask: Ask, maxEntries: number, meter: Meter): MintCache => {
  const count = {
    hit: meter.counter('sallyport_mint_cache_total', { result: 'hit' }),
    miss: meter.counter('sallyport_mint_cache_total', { result: 'miss' }),
    refreshed: meter.counter('sallyport_mint_cache_total', { result: 'refreshed-ahead' }),
    stale: meter.counter('sallyport_mint_cache_total', { result: 'stale-while-down' }),
  }
  const known = twoGenerations<Entry>(maxEntries)
  const asking = underWay<Result<Mint>>()

  const fetch = (
    key: string,
    parent: Parent,
    request: MintRequest,
    nowMs: number,
  ): Promise<Result<Mint>> =>
    asking.share(key, (answered) =>
      // One promise for all of it: this is on the way of every new token.
      ask(request).then(
        (result): Result<Mint> => {
          answered()
          if (!result.ok) return result
          const minted = result.value
          if (minted.subject === parent.subject) known.set(key, entryOf(minted, parent, nowMs))
          return pass({ minted, fromCache: false })
        },
        (cause: unknown) => {
          answered()
          throw cause
        },
      ),
    )

  const refreshAhead = (
    key: string,
    entry: Entry,
    parent: Parent,
    request: MintRequest,
    nowMs: number,
  ) => {
    entry.refreshAtMs = nowMs + retryAfterMs
    void fetch(key, parent, request, nowMs).then((result) =>
      result.ok ? count.refreshed() : count.stale(),
    )
  }

  return {
    take: (parent, request, nowMs) => {
      const key = keyOf(parent, request)
      const entry = known.get(key)
      if (entry && isUsable(entry, parent, nowMs)) {
        count.hit()
        if (nowMs >= entry.refreshAtMs) refreshAhead(key, entry, parent, request, nowMs)
        return pass(entry.mint)
      }
      count.miss()
      return fetch(key, parent, request, nowMs)
    },
    size: known.size,
  }
}

/** Most tokens are used for one audience: its key is put together, and hashed by the map, once. */
const keyOf = (
  { fingerprint, last }: Parent,
  { audience, requestedTokenType: type }: MintRequest,
): string => {
  if (last.key === '' || last.audience !== audience || last.type !== type) {
    last.audience = audience
    last.type = type
    last.key = `${fingerprint} ${type} ${audience}`
  }
  return last.key
}

const entryOf = (minted: MintedToken, parent: Parent, nowMs: number): Entry => ({
  minted,
  mint: { minted, fromCache: true },
  askedAtMs: nowMs,
  refreshAtMs: refreshAt(minted, parent),
})

const isUsable = ({ minted, askedAtMs }: Entry, { subject }: Parent, nowMs: number): boolean =>
  minted.subject === subject && minted.expiresAtMs - safetyMs > nowMs && isPast(askedAtMs, nowMs)

/** Never, when the parent ends no later: a new one could live no longer. */
const refreshAt = (minted: MintedToken, parent: Parent): number =>
  parent.expiresAtMs <= minted.expiresAtMs
    ? Number.POSITIVE_INFINITY
    : minted.issuedAtMs + ((minted.expiresAtMs - minted.issuedAtMs) * 2) / 3
