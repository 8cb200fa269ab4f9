import type { AuditEvent, QuarantineRecord } from '#contract/audit-event'
import { selected, type QuarantineEntry } from '#contract/quarantine'

/** An entry, as records tell of it. */
export const quarantineRecord = (
  entry: QuarantineEntry,
): { readonly quarantine: NonNullable<AuditEvent['quarantine']> } => {
  const { id, by, reason, actor, expiresAt, notBefore } = entry
  return {
    quarantine: {
      id,
      ...selected(by),
      reason,
      actor,
      ...(expiresAt === undefined ? {} : { expiresAt }),
      ...(notBefore === undefined ? {} : { notBefore }),
    } satisfies QuarantineRecord,
  }
}
