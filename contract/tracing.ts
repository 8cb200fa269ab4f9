/** A span by its ids: 32 and 16 lower-case hex digits (W3C Trace Context §3.2.2). */
export type SpanReference = { readonly traceId: string; readonly spanId: string }

/** One exchange with a caller as a server span, after its end. Never holds a token or a secret. */
export type FinishedSpan = SpanReference & {
  /** In the same trace, where the caller's trace is continued. */
  readonly parentSpanId?: string
  /** The caller's own trace, where it is not continued. */
  readonly link?: SpanReference
  readonly name: string
  /** Milliseconds since 1970. */
  readonly startMs: number
  readonly durationMs: number
  readonly attributes: Readonly<Record<string, string | number | boolean>>
  /** What happened on the way, each with its distance from the start. */
  readonly events: readonly { readonly name: string; readonly afterMs: number }[]
  readonly isError: boolean
}

/** Takes spans. Never throws and never holds a request back. */
export type Tracing = {
  /** Whether a trace is one of the share that is taken, and there is room for one more this second. */
  readonly sample: (traceId: string) => boolean
  /** The same for what is kept whatever the share: refused, failed or slow. What has no room is counted. */
  readonly keep: () => boolean
  /** Requests that take longer are kept, in milliseconds. */
  readonly slowMs: number
  readonly end: (span: FinishedSpan) => void
  /** Sends what is left, for at most two seconds. */
  readonly close: () => Promise<void>
}
