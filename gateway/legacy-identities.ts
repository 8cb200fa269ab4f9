import { createHmac } from 'node:crypto'
import { isPast, type RandomBytes } from '#contract/clock'
import { legacyCredentialType, type LegacyEvidence } from '#contract/legacy'
import { pass, refuse, type Refusal, type Result } from '#contract/problem'
import { secret } from '#contract/secret'
import type { Soon } from '#contract/step'
import type { Meter } from '#contract/telemetry'
import type { MintedToken, MintRequest, TokenType } from '#contract/token-exchange'
import { twoGenerations } from '#contract/two-generations'
import { underWay } from '#contract/under-way'
import type { Mint } from './mint-cache.ts'

/** What a token is asked for, besides by whom. */
export type LegacyWish = {
  readonly audience: string
  readonly requestedTokenType: TokenType
  readonly decisionId: string
  readonly traceParent?: MintRequest['traceParent']
}

/** Turns credentials of callers that know nothing of tokens into identities of the mesh. */
export type LegacyIdentities = {
  /**
   * From memory, or asked of the exchange, which alone knows whose a credential is. A signed request is always asked about,
   * for each is good once.
   */
  readonly take: (evidence: LegacyEvidence, wish: LegacyWish, nowMs: number) => Soon<Result<Mint>>
  readonly size: () => number
}

export type LegacyIdentitiesOptions = {
  readonly ask: (request: MintRequest) => Promise<Result<MintedToken>>
  /** Identities kept, and as many again of credentials that are nobody's. */
  readonly maxEntries: number
  readonly meter: Meter
  readonly randomBytes: RandomBytes
}

type Known = {
  readonly minted: MintedToken
  readonly mint: Mint
  /** By our clock; that of the exchange may differ. */
  readonly askedAtMs: number
  readonly refreshAtMs: number
}

/** A token this close to its end may be too late at the upstream. */
const safetyMs = 5000
const refusedForMs = 5000
const retryAfterMs = 2000
/** Each may be a password, and those cost the exchange dear. */
const maxAsking = 64
const keyBytes = 32

/**
 * Remembers whose a credential is for as long as the token lives that was minted for it, by an HMAC of the credential under
 * a key of this process: so neither it nor a hash that could be tried is kept. From two thirds of that life on it is asked
 * for anew in the background; when the exchange then says that the credential is nobody's any more, it is forgotten at once.
 *
 * What was refused is remembered apart and for five seconds, so that wrong keys drive out no right ones.
 */
export const legacyIdentities = ({
  ask,
  maxEntries,
  meter,
  randomBytes,
}: LegacyIdentitiesOptions): LegacyIdentities => {
  const count = {
    hit: meter.counter('sallyport_mint_cache_total', { result: 'hit' }),
    miss: meter.counter('sallyport_mint_cache_total', { result: 'miss' }),
    refreshed: meter.counter('sallyport_mint_cache_total', { result: 'refreshed-ahead' }),
    stale: meter.counter('sallyport_mint_cache_total', { result: 'stale-while-down' }),
  }
  const hashKey = randomBytes(keyBytes)
  const known = twoGenerations<Known>(maxEntries)
  const refused = twoGenerations<{ readonly refusal: Refusal; readonly untilMs: number }>(
    maxEntries,
  )
  const asking = underWay<Result<Mint>>()

  const keyOf = (evidence: LegacyEvidence, { audience, requestedTokenType }: LegacyWish) =>
    createHmac('sha256', hashKey)
      .update(JSON.stringify([evidence, audience, requestedTokenType]))
      .digest('base64url')

  const question = (evidence: LegacyEvidence, { decisionId, ...wish }: LegacyWish) =>
    ask({
      subjectToken: secret(Buffer.from(JSON.stringify(evidence)).toString('base64url')),
      subjectTokenType: legacyCredentialType,
      ...wish,
      decisionId,
    })

  const fetch = (
    key: string,
    evidence: LegacyEvidence,
    wish: LegacyWish,
    nowMs: number,
  ): Promise<Result<Mint>> => {
    if (asking.get(key) === undefined && asking.size() >= maxAsking)
      return Promise.resolve(
        refuse('identity-unavailable', {
          cause: `${maxAsking} credentials are asked about already`,
          headers: { 'Retry-After': '1' },
        }),
      )
    return asking.share(key, (answered) =>
      question(evidence, wish)
        .then((result): Result<Mint> => {
          if (result.ok) {
            known.set(key, knownOf(result.value, nowMs))
            return pass({ minted: result.value, fromCache: false })
          }
          if (result.problem.tag === 'credential-refused') {
            known.delete(key)
            refused.set(key, { refusal: result, untilMs: nowMs + refusedForMs })
          }
          return result
        })
        .finally(answered),
    )
  }

  return {
    take: (evidence, wish, nowMs) => {
      if (evidence.method === 'signed_request') {
        count.miss()
        return question(evidence, wish).then((result) =>
          result.ok ? pass({ minted: result.value, fromCache: false }) : result,
        )
      }
      const key = keyOf(evidence, wish)
      const entry = known.get(key)
      if (entry && entry.minted.expiresAtMs - safetyMs > nowMs && isPast(entry.askedAtMs, nowMs)) {
        count.hit()
        if (nowMs >= entry.refreshAtMs) {
          known.set(key, { ...entry, refreshAtMs: nowMs + retryAfterMs })
          void fetch(key, evidence, wish, nowMs).then((result) =>
            result.ok ? count.refreshed() : count.stale(),
          )
        }
        return pass(entry.mint)
      }
      count.miss()
      const earlier = refused.get(key)
      if (earlier && earlier.untilMs > nowMs && isPast(earlier.untilMs - refusedForMs, nowMs))
        return earlier.refusal
      return fetch(key, evidence, wish, nowMs)
    },
    size: known.size,
  }
}

const knownOf = (minted: MintedToken, nowMs: number): Known => ({
  minted,
  mint: { minted, fromCache: true },
  askedAtMs: nowMs,
  refreshAtMs: minted.issuedAtMs + ((minted.expiresAtMs - minted.issuedAtMs) * 2) / 3,
})
