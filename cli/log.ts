import pino from 'pino'
import type { Log } from '#contract/telemetry'

/** What happens, for operators: JSON lines on standard error. Standard output belongs to the audit records. */
export const processLog = (name: string): Log =>
  pino({ name, base: { name }, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination(2))
