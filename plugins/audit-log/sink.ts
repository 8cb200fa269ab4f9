import type { AuditSink } from '#contract/audit-event'
import { admitted, refuse } from '#contract/problem'
import type { Log, Meter } from '#contract/telemetry'
import { appendedFile, standardOutput } from './destination.ts'
import { eventEncoder } from './encode.ts'
import { lineWriter } from './line-writer.ts'
import type { AuditLogOptions } from './options.ts'

export type AuditLog = AuditSink & {
  /** For rotation: opens the file anew, after it has been moved away. */
  readonly reopen: () => void
}

/**
 * Writes audit records as JSON lines. They leave at most 20 ms after they were taken.
 *
 * With `whenUnwritable: refuse` it is ready only while records get out: a full disk, a file that may not be written, a
 * write that does not end, or half the buffer taken make it refuse with `audit-unavailable`. With `continue` it goes on
 * and what finds no room is dropped and counted. Either way it tries again every second.
 *
 * @throws Error that names the file and the remedy, if it cannot be opened at the start.
 */
export const auditLog = (
  { file, whenUnwritable, maxBufferedBytes }: AuditLogOptions,
  { meter, log }: { readonly meter: Meter; readonly log: Log },
): AuditLog => {
  const countWritten = meter.counter('sallyport_audit_events_total', { result: 'written' })
  const countDropped = meter.counter('sallyport_audit_events_total', { result: 'dropped' })
  const countFailed = meter.counter('sallyport_audit_events_total', { result: 'failed' })
  const destination = file === 'stdout' ? standardOutput : appendedFile(file)
  const writer = lineWriter(destination, maxBufferedBytes, {
    written: countWritten,
    lost: countFailed,
    failed: (reason) =>
      log.error({ file: destination.name, reason, whenUnwritable }, 'audit records do not get out'),
    recovered: () => log.info({ file: destination.name }, 'audit records get out again'),
  })
  const encode = eventEncoder()
  const unavailable = refuse('audit-unavailable', { cause: `audit log ${destination.name}` })

  return {
    write: (event) => {
      if (!writer.append(encode(event))) countDropped()
    },
    ready: () => (whenUnwritable === 'continue' || writer.isWell() ? admitted : unavailable),
    reopen: writer.reopen,
    close: writer.close,
  }
}
