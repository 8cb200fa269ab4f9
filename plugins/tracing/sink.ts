import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, TraceFlags } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { AlwaysOnSampler, BatchSpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import type { Log, Meter } from '#contract/telemetry'
import type { FinishedSpan, SpanReference, Tracing } from '#contract/tracing'
import { perSecond } from './budget.ts'
import { countedExporter } from './counted-exporter.ts'
import type { TracingOptions } from './options.ts'

const exportTimeoutMs = 10_000
const batchSpans = 512
const batchEveryMs = 1000
const closeWithinMs = 2000
const maxAttributeChars = 1024
/** A trace id's last 56 bits decide, as W3C Trace Context level 2 has it: so everyone with the same share takes the same ones. */
const decidingDigits = 14

export type TracingPorts = {
  readonly meter: Meter
  readonly log: Log
  /** What kind of process it is, and which. */
  readonly instance: string
  readonly uptimeMs: () => number
}

/**
 * Sends spans to a collector by OTLP over HTTP, in batches of at most 512, once a second. A request only puts its span
 * into a queue of bounded length; while the collector is slow or away that fills up, and what finds no room is counted.
 *
 * Which spans there are is decided by us and after the end of the request, so the SDK samples all that it is given. It
 * has no say in ids either: they went to the upstream while the request was under way.
 *
 * @throws Error if `caFile` cannot be read.
 */
export const tracingSink = (options: TracingOptions, ports: TracingPorts): Tracing => {
  const { meter, uptimeMs } = ports
  const exported = countedExporter(openExporter(options), ports)
  let ids: SpanReference = { traceId: '', spanId: '' }
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': options.serviceName,
      'service.instance.id': ports.instance,
    }),
    sampler: new AlwaysOnSampler(),
    idGenerator: { generateTraceId: () => ids.traceId, generateSpanId: () => ids.spanId },
    spanLimits: { attributeValueLengthLimit: maxAttributeChars },
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: exported.exporter,
        maxQueueSize: options.maxQueuedSpans, // never reached: what is being sent counts here as well
        maxExportBatchSize: batchSpans,
        scheduledDelayMillis: batchEveryMs,
        exportTimeoutMillis: exportTimeoutMs + 1000,
      }),
    ],
  })
  const tracer = provider.getTracer('sallyport')
  const maySample = perSecond(options.maxSampledPerSecond, uptimeMs)
  const mayKeep = perSecond(options.maxKeptPerSecond, uptimeMs)
  const dropped = {
    queue: meter.counter('sallyport_spans_total', { result: 'dropped-queue-full' }),
    rate: meter.counter('sallyport_spans_total', { result: 'dropped-rate' }),
  }
  const bound = options.sampleRatio * 2 ** (4 * decidingDigits)

  const hand = (span: FinishedSpan) => {
    ids = span
    const parent = span.parentSpanId
      ? trace.setSpanContext(ROOT_CONTEXT, context(span.traceId, span.parentSpanId))
      : ROOT_CONTEXT
    const started = tracer.startSpan(
      span.name,
      {
        kind: SpanKind.SERVER,
        startTime: span.startMs,
        attributes: span.attributes,
        links: span.link ? [{ context: context(span.link.traceId, span.link.spanId) }] : [],
      },
      parent,
    )
    for (const { name, afterMs } of span.events) started.addEvent(name, span.startMs + afterMs)
    if (span.isError) started.setStatus({ code: SpanStatusCode.ERROR })
    started.end(span.startMs + span.durationMs)
  }

  return {
    slowMs: options.slowMs,
    sample: (traceId) => Number.parseInt(traceId.slice(-decidingDigits), 16) < bound && maySample(),
    keep: () => {
      const may = mayKeep()
      if (!may) dropped.rate()
      return may
    },
    end: (span) => {
      if (exported.waiting() >= options.maxQueuedSpans) return dropped.queue()
      exported.took()
      hand(span)
    },
    close: async () => {
      const end = sleep(closeWithinMs, undefined, { ref: false })
      await Promise.race([provider.shutdown().catch(() => {}), end]) // what failed is counted
      exported.giveUp()
    },
  }
}

const openExporter = ({ endpoint, caFile, authorization }: TracingOptions) =>
  new OTLPTraceExporter({
    url: endpoint,
    timeoutMillis: exportTimeoutMs,
    ...(authorization ? { headers: { Authorization: authorization.reveal() } } : {}),
    ...(caFile ? { httpAgentOptions: { ca: readFileSync(caFile), keepAlive: true } } : {}),
  })

const context = (traceId: string, spanId: string) => ({
  traceId,
  spanId,
  traceFlags: TraceFlags.SAMPLED,
  isRemote: true,
})
