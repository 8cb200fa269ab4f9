import type { RandomBytes } from '#contract/clock'

const secondMs = 1000
/** Clocks differ: a certificate is valid from a little before it was made, as SPIRE's are. */
const cushionMs = 10 * secondMs

export type Validity = { readonly notBeforeMs: number; readonly notAfterMs: number }

/**
 * From 10 seconds ago; the whole of it, that included, is `lifetimeMs` long and ends with `endMs` at the latest.
 * In whole seconds, for certificates know no others.
 */
export const validity = (nowMs: number, lifetimeMs: number, endMs = Infinity): Validity => {
  const notBeforeMs = Math.floor(nowMs / secondMs) * secondMs - cushionMs
  const notAfterMs = Math.min(notBeforeMs + lifetimeMs, endMs)
  return { notBeforeMs, notAfterMs: Math.floor(notAfterMs / secondMs) * secondMs }
}

const serialBytes = 16

/** 16 bytes of chance, as a positive INTEGER that needs no padding. */
export const newSerial = (randomBytes: RandomBytes): Buffer => {
  const serial = Buffer.from(randomBytes(serialBytes))
  const first = (serial[0] ?? 0) & 0x7f
  serial[0] = first === 0 ? 1 : first
  return serial
}
