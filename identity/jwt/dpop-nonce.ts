import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Secret } from '#contract/secret'

/** Nonces that proofs must have in them, so that none can be made ahead of its use. */
export type DpopNonces = {
  readonly current: (nowMs: number) => string
  /** Whether it is the current one, or the one before. */
  readonly accepts: (nonce: unknown, nowMs: number) => boolean
}

/**
 * Nothing is kept: a nonce is the MAC of the span of time in which it was given, so all gateways with one key know each
 * other's.
 *
 * @param key At least 32 bytes that nobody else knows.
 * @see RFC 9449 §8 and §9
 */
export const dpopNonces = (key: Secret<Buffer>, lifetimeMs: number): DpopNonces => {
  const nonceOf = (span: number): string =>
    createHmac('sha256', key.reveal()).update(`dpop nonce ${span}`).digest('base64url')
  const spanOf = (nowMs: number): number => Math.floor(nowMs / lifetimeMs)
  const isOf = (nonce: Buffer, span: number): boolean => {
    const right = Buffer.from(nonceOf(span))
    return nonce.length === right.length && timingSafeEqual(nonce, right)
  }
  return {
    current: (nowMs) => nonceOf(spanOf(nowMs)),
    accepts: (nonce, nowMs) => {
      if (typeof nonce !== 'string') return false
      const given = Buffer.from(nonce)
      const span = spanOf(nowMs)
      return isOf(given, span) || isOf(given, span - 1)
    },
  }
}
