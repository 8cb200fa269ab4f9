import type { RandomBytes } from '#contract/clock'
import type { AuditEvent } from '#contract/audit-event'
import type { Tracing } from '#contract/tracing'
import { readTraceContext, traceParentText, type TraceContext } from '#http/trace-context'
import type { Ending } from '../answer.ts'
import type { Watch } from '../compose.ts'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'
import { describeSpan } from './span.ts'

type Facts = Ending<Received, Admitted>['facts']

/** The span of one request while it is under way. */
export type RequestTrace = {
  /** Told each step, which becomes an event of the span. */
  readonly watch: Watch
  /** What the upstream is told of the trace: name, value, name, value …. The same at every call. */
  readonly headers: (facts: Facts) => readonly string[]
  /** The trace that the request belongs to. */
  readonly traceId: (facts: Facts) => string
  /** Hands the span on, if it is one to keep. */
  readonly ended: (ending: Ending<Received, Admitted>, outcome: AuditEvent['outcome']) => void
}

export type TraceRequests = (decisionId: string) => RequestTrace

/**
 * Traces requests. A caller's trace is continued only for a verified token of an issuer that is trusted with it; everyone
 * else gets a new one with a link to theirs ("restart", W3C Trace Context §6.2): whose id anyone may choose, and whose
 * flags decide for us, would cost what an attacker wants it to. A new trace's id is the decision id.
 */
export const traceRequests = (
  tracing: Tracing,
  randomBytes: RandomBytes,
  continued: ReadonlySet<string>,
): TraceRequests => {
  const placeOf = (facts: Facts, spanId: string): Place => {
    const theirs = facts.head && readTraceContext(facts.head.headers)
    const { caller, decisionId } = facts
    const isTrusted = caller?.kind === 'token' && continued.has(caller.token.issuerName)
    return theirs && isTrusted
      ? { traceId: theirs.traceId, spanId, parent: theirs }
      : { traceId: decisionId, spanId, link: theirs }
  }
  return (decisionId) => {
    const spanId = randomBytes(8).toString('hex')
    const events: { name: string; afterMs: number }[] = []
    let afterMs = 0
    /** Once the upstream was told. */
    let told: { readonly place: Place; readonly isSampled: boolean } | undefined
    const tell = (facts: Facts) => {
      const place = placeOf(facts, spanId)
      return { place, isSampled: tracing.sample(place.traceId) }
    }
    return {
      watch: (name, elapsedMs) => {
        afterMs += elapsedMs
        events.push({ name, afterMs })
      },
      headers: (facts) => {
        told ??= tell(facts)
        const { place, isSampled } = told
        const state = place.parent?.traceState
        return [
          'traceparent',
          traceParentText(place, isSampled),
          ...(state === undefined ? [] : ['tracestate', state]),
        ]
      },
      traceId: (facts) => (told?.place ?? placeOf(facts, spanId)).traceId,
      ended: (ending, outcome) => {
        const isKept = isWorthKeeping(ending, tracing.slowMs)
        if (!isKept) told ??= tell(ending.facts)
        if (!told?.isSampled && !(isKept && tracing.keep())) return
        const { traceId, parent, link } = told?.place ?? placeOf(ending.facts, spanId)
        tracing.end({
          traceId,
          spanId,
          ...(parent ? { parentSpanId: parent.spanId } : {}),
          ...(link ? { link } : {}),
          startMs: ending.facts.nowMs,
          durationMs: ending.durationMs,
          events,
          ...describeSpan(ending, outcome, decisionId),
        })
      },
    }
  }
}

type Place = {
  readonly traceId: string
  readonly spanId: string
  readonly parent?: TraceContext
  readonly link?: TraceContext | undefined
}

/** Refused, failed, or slow. What is upgraded is open for as long as it likes. */
const isWorthKeeping = ({ facts, sent, durationMs }: Ending<Received, Admitted>, slowMs: number) =>
  sent.problem !== undefined ||
  sent.status >= 500 ||
  (durationMs > slowMs && facts.door === 'request')
