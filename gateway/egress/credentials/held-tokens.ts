import { isPast } from '#contract/clock'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import type { Secret } from '#contract/secret'
import type { Soon } from '#contract/step'
import { underWay } from '#contract/under-way'

export type HeldToken = {
  readonly token: Secret<string>
  readonly issuedAtMs: number
  readonly expiresAtMs: number
}

export type FetchToken = () => Promise<Result<HeldToken>>

export type HeldTokens = {
  /**
   * The token of this key: held, or fetched; those who want the same at once share one question.
   *
   * @param key All that it depends on.
   * @returns Refuses as `fetch` does, and for a moment with the same again.
   */
  readonly take: (
    key: string,
    fetch: FetchToken,
    nowMs: number,
  ) => Soon<Result<{ readonly token: Secret<string>; readonly fromCache: boolean }>>
  readonly size: () => number
}

type Entry = {
  readonly held: HeldToken
  /** By our clock; that of who issued it may differ. */
  readonly askedAtMs: number
  refreshAtMs: number
}
type Failed = { readonly refusal: Refusal; readonly untilMs: number }

/** A token this close to its end may be too late at the destination. */
const safetyMs = 5000
/** After a failure nobody asks for so long: who is down must not hold every request up. */
const restMs = 500
const maxFailures = 1000

/**
 * Keeps tokens for what goes out, at most `maxEntries` at a time, and none beyond its end. From two thirds of its life on
 * a token is fetched anew in the background. Two generations: what is still used when the younger is full moves over.
 */
export const heldTokens = (maxEntries: number): HeldTokens => {
  let young = new Map<string, Entry>()
  let old = new Map<string, Entry>()
  const failures = new Map<string, Failed>()
  const asking = underWay<Result<HeldToken>>()

  const keep = (key: string, entry: Entry) => {
    if (young.size >= maxEntries / 2) {
      old = young
      young = new Map()
    }
    young.set(key, entry)
  }
  const find = (key: string): Entry | undefined => {
    const entry = young.get(key)
    if (entry) return entry
    const aged = old.get(key)
    if (!aged) return undefined
    old.delete(key)
    keep(key, aged)
    return aged
  }
  const noteFailure = (key: string, refusal: Refusal, nowMs: number) => {
    const [oldest] = failures.keys()
    if (failures.size >= maxFailures && oldest !== undefined) failures.delete(oldest)
    failures.set(key, { refusal, untilMs: nowMs + restMs })
  }
  const ask = (key: string, fetch: FetchToken, nowMs: number): Promise<Result<HeldToken>> =>
    asking.share(key, (answered) =>
      fetch()
        .then((result) => {
          failures.delete(key)
          if (!result.ok) noteFailure(key, result, nowMs)
          else if (result.value.expiresAtMs - safetyMs > nowMs)
            keep(key, entryOf(result.value, nowMs))
          return result
        })
        .finally(answered),
    )

  return {
    take: (key, fetch, nowMs) => {
      const entry = find(key)
      if (entry && isPast(entry.askedAtMs, nowMs) && entry.held.expiresAtMs - safetyMs > nowMs) {
        if (nowMs >= entry.refreshAtMs) {
          entry.refreshAtMs = nowMs + restMs
          ask(key, fetch, nowMs).catch(() => {}) // a bug shows when it is needed
        }
        return pass({ token: entry.held.token, fromCache: true })
      }
      const failed = failures.get(key)
      if (failed && failed.untilMs > nowMs) return failed.refusal
      return ask(key, fetch, nowMs).then((result) => {
        if (!result.ok) return result
        const { token, expiresAtMs } = result.value
        return expiresAtMs > nowMs
          ? pass({ token, fromCache: false })
          : refuse('credential-unavailable', { cause: 'the token that came has expired' })
      })
    },
    size: () => young.size + old.size,
  }
}

const entryOf = (held: HeldToken, nowMs: number): Entry => ({
  held,
  askedAtMs: nowMs,
  refreshAtMs: held.issuedAtMs + ((held.expiresAtMs - held.issuedAtMs) * 2) / 3,
})
