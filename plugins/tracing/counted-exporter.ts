import type { SpanExporter } from '@opentelemetry/sdk-trace'
import type { Log, Meter } from '#contract/telemetry'

/** `ExportResultCode.SUCCESS`, of a package that is not ours to import. */
const sent = 0

export type CountedExporter = {
  readonly exporter: SpanExporter
  /** Spans that were taken and are neither sent nor given up. */
  readonly waiting: () => number
  readonly took: () => void
  /** Counts what is still waiting as failed. */
  readonly giveUp: () => void
}

/** Counts what becomes of each span, and tells once when they do not get out and once when they do again. */
export const countedExporter = (
  exporter: SpanExporter,
  { meter, log }: { readonly meter: Meter; readonly log: Log },
): CountedExporter => {
  const countExported = meter.counter('sallyport_spans_total', { result: 'exported' })
  const countFailed = meter.counter('sallyport_spans_total', { result: 'failed' })
  let waiting = 0
  let isFailing = false

  const ended = (count: number, error: Error | undefined) => {
    waiting -= count
    if (error) countFailed(count)
    else countExported(count)
    if (error && !isFailing) log.warn({ reason: reasonOf(error) }, 'spans do not get out')
    if (!error && isFailing) log.info({}, 'spans get out again')
    isFailing = error !== undefined
  }
  return {
    exporter: {
      export: (spans, done) =>
        exporter.export(spans, (result) => {
          const code: number = result.code
          const isSent = code === sent
          ended(spans.length, isSent ? undefined : (result.error ?? new Error('not accepted')))
          done(result)
        }),
      shutdown: () => exporter.shutdown(),
      forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    },
    waiting: () => waiting,
    took: () => {
      waiting += 1
    },
    giveUp: () => {
      if (waiting > 0) countFailed(waiting)
      waiting = 0
    },
  }
}

/** A system's code or an HTTP status; an answer's text is the collector's and stays out of the log. */
const reasonOf = (error: Error): string => {
  const { code } = error as { readonly code?: string | number }
  return code === undefined ? error.name : String(code)
}
