// The JSON Schemas that users read say the same as the types that the code uses: else this does not compile.
import type { Static } from 'typebox'
import type { AuditEvent } from '#contract/audit-event'
import type { PolicyDecision, PolicyInput } from '#contract/policy'
import type { AuditEventSchema } from '#plugins/audit-log/event-schema'
import type { PolicyInputSchema, PolicyResultSchema } from '#plugins/policy/input'

/** Every key there and back, with whether it may be left out: optional keys alone would pass unseen. */
type Shape<T> = T extends readonly (infer Item)[]
  ? readonly Shape<Item>[]
  : T extends object
    ? { [Key in keyof T]-?: [T extends Record<Key, unknown> ? 'there' : 'optional', Shape<T[Key]>] }
    : T
type Same<A, B> = [Shape<A>, Shape<B>] extends [Shape<B>, Shape<A>] ? true : false

true satisfies Same<Static<typeof PolicyInputSchema>, PolicyInput>
true satisfies Same<Static<typeof PolicyResultSchema>, Omit<PolicyDecision, 'revision'>>
true satisfies Same<Static<typeof AuditEventSchema>, AuditEvent>

// @ts-expect-error a field more is not the same
true satisfies Same<Static<typeof PolicyInputSchema>, PolicyInput & { readonly token: string }>
// @ts-expect-error an optional field is not the same
true satisfies Same<Static<typeof PolicyResultSchema>, Partial<PolicyDecision>>
// @ts-expect-error an optional field more is not the same
true satisfies Same<Static<typeof AuditEventSchema>, AuditEvent & { readonly tenant?: string }>
