import type { RandomBytes } from '#contract/clock'
import type { TrustDomain } from '#contract/spiffe-id'
import type { CertifiedKey, KeyState, SigningKey } from '../keys/key-store.ts'
import { nextSequence } from './bundle.ts'
import { makeIntermediate, makeRoot } from './ca-certificates.ts'
import { generateP256, thumbprintOf } from './p256.ts'
import { firstSlots } from './slots.ts'

export type KeyLifetimes = {
  readonly rootMs: number
  readonly intermediateMs: number
  readonly jwtKeyMs: number
  /** The longest that anything lives which these keys sign. */
  readonly longestX509SvidMs: number
  readonly longestTokenMs: number
}

export type InspectionKeyMaking = {
  /** Patterns of the hosts that certificates are signed for. */
  readonly hosts: readonly string[]
  readonly caMs: number
  readonly leafMs: number
}

/** What it takes to make keys. */
export type KeyMaking = {
  readonly trustDomain: TrustDomain
  readonly lifetimes: KeyLifetimes
  /** Absent where no gateway looks into TLS. */
  readonly inspection?: InspectionKeyMaking | undefined
  readonly randomBytes: RandomBytes
}

/** The keys of an exchange that has none yet. They sign from the first moment on. */
export const firstKeys = async (making: KeyMaking, nowMs: number): Promise<KeyState> => {
  const root = await newRoot(making, nowMs)
  return {
    trustDomain: making.trustDomain,
    sequence: nextSequence(0, nowMs),
    roots: firstSlots(root),
    intermediates: firstSlots(await newIntermediate(root, making, nowMs)),
    jwtKeys: firstSlots(await newJwtKey(making, nowMs)),
  }
}

export const newRoot = (making: KeyMaking, nowMs: number): Promise<CertifiedKey> =>
  makeRoot({ ...making, lifetimeMs: making.lifetimes.rootMs, nowMs })

export const newIntermediate = (
  root: CertifiedKey,
  making: KeyMaking,
  nowMs: number,
): Promise<CertifiedKey> =>
  makeIntermediate(root, { ...making, lifetimeMs: making.lifetimes.intermediateMs, nowMs })

export const newJwtKey = async ({ lifetimes }: KeyMaking, nowMs: number): Promise<SigningKey> => {
  const { privateKey, publicKey } = await generateP256()
  return {
    id: thumbprintOf(publicKey),
    createdAtMs: nowMs,
    notAfterMs: nowMs + lifetimes.jwtKeyMs,
    privateKey,
    publicKey: publicKey.key,
  }
}
