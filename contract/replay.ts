import type { Result } from './problem.ts'
import type { Soon } from './step.ts'

/** What is good once. Kept apart, so that a proof's id cannot be that of an assertion. */
export type GoodOnce = 'client-assertion' | 'dpop-proof' | 'subject-token' | 'signed-request'

/**
 * Remembers what was used.
 *
 * `id` is what was verified, decoded: never a raw token, which can be spelt in several ways. It is remembered until
 * `expiresAtMs`, when it would not be accepted any more in any case; add the skew that is granted.
 *
 * @returns Refuses with `token-replayed` what was used before, and with `replay-unavailable` while nobody can tell.
 */
export type SpendOnce = (what: GoodOnce, id: string, expiresAtMs: number) => Soon<Result<void>>
