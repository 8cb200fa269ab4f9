import type { Admitted } from './pipeline.ts'

/** Spent here: the outside credential, and what the forwarder says itself. */
const notForwarded = new Set([
  'host',
  'authorization',
  'dpop',
  'expect',
  'proxy-authorization',
  'baggage', // a stranger's words, which services of the mesh would take for their own
  'x-request-id', // the decision id: under one that the caller chose nobody would find its record
])

const ofTraces = ['traceparent', 'tracestate'] as const
/** Where callers prove who they are by these. Elsewhere they are a service's own. */
const ofLegacy = ['x-api-key', 'signature', 'signature-input'] as const
const dropped = [notForwarded, new Set([...notForwarded, ...ofTraces])] as const
const droppedLegacy = dropped.map((names) => new Set([...names, ...ofLegacy]))

/**
 * Headers for the upstream: what the caller sent (the gate has removed hop-by-hop, reserved and repeated ones), then ours.
 * Ours come last and nothing of the caller's can name them, so nothing of the caller's can take them away.
 */
export const upstreamHeaders = (request: Admitted): readonly string[] => {
  const { head, origin, identity, decisionId, trace, route } = request
  const names = (route.legacy ? droppedLegacy : dropped)[trace ? 1 : 0] ?? notForwarded
  const headers: string[] = []
  for (let i = 0; i + 1 < head.headers.length; i += 2) {
    const name = head.headers[i] as string
    if (!names.has(name)) headers.push(name, head.headers[i + 1] as string)
  }
  headers.push(
    'x-forwarded-for',
    origin.forwardedFor,
    'x-forwarded-proto',
    origin.forwardedProto,
    'x-forwarded-host',
    origin.forwardedHost,
    'x-request-id',
    decisionId,
    'forwarded',
    origin.forwarded,
    'via',
    origin.via,
  )
  if (head.acceptsTrailers) headers.push('te', 'trailers')
  if (trace) headers.push(...trace.headers(request))
  if (identity) headers.push('authorization', `Bearer ${identity.minted.token.reveal()}`)
  return headers
}
