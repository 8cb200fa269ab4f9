import type { SpanReference } from '#contract/tracing'

const traceparent =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?$/
const maxTraceStateChars = 512

/** What a request says of the trace that it belongs to. */
export type TraceContext = SpanReference & { readonly traceState: string | undefined }

/**
 * Reads `traceparent` and `tracestate`. What is malformed or comes twice says nothing; a flag that asks for the trace to
 * be recorded is not read at all, for what is recorded is decided here.
 *
 * @param headers Name, value, name, value …; names lower-case.
 * @see W3C Trace Context §3.2, §3.3
 */
export const readTraceContext = (headers: readonly string[]): TraceContext | undefined => {
  let parent: string | undefined
  let traceState: string | undefined
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = headers[i]
    if (name === 'traceparent') {
      if (parent !== undefined) return undefined
      parent = headers[i + 1]
    } else if (name === 'tracestate')
      traceState = traceState === undefined ? headers[i + 1] : `${traceState},${headers[i + 1]}`
  }
  if (parent === undefined) return undefined
  const match = traceparent.exec(parent)
  const [, traceId, spanId, more] = match ?? []
  if (traceId === undefined || spanId === undefined) return undefined
  if (more !== undefined && parent.startsWith('00')) return undefined // version 00 has nothing behind the flags
  const isTooLong = traceState !== undefined && traceState.length > maxTraceStateChars
  return { traceId, spanId, traceState: isTooLong ? undefined : traceState }
}

/** The value of `traceparent` for the next hop. */
export const traceParentText = ({ traceId, spanId }: SpanReference, isSampled: boolean): string =>
  `00-${traceId}-${spanId}-${isSampled ? '01' : '00'}`
