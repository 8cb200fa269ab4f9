import { oncePer } from '#contract/once-per'
import type { MintedToken } from '#contract/token-exchange'
import type { Origin } from '#http/forwarded'
import type { UpstreamRequest } from '#http/upstream-client'
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

export type UpstreamHeaders = Required<Pick<UpstreamRequest, 'headers' | 'sharedHeaders'>>

/**
 * Headers for the upstream: what the caller sent (the gate has removed hop-by-hop, reserved and repeated ones), then ours.
 * Ours come last and nothing of the caller's can name them, so nothing of the caller's can take them away.
 *
 * What we say of a connection, and an identity that was not minted for this request alone, are the same lists in all requests.
 */
export const upstreamHeaders = () => {
  const originOf = oncePer(describeOrigin)
  const bearerOf = oncePer(bearer)
  return (request: Admitted): UpstreamHeaders => {
    const { head, origin, identity, decisionId, trace, route } = request
    const names = (route.legacy ? droppedLegacy : dropped)[trace ? 1 : 0] ?? notForwarded
    const headers: string[] = []
    for (let i = 0; i + 1 < head.headers.length; i += 2) {
      const name = head.headers[i] as string
      if (!names.has(name)) headers.push(name, head.headers[i + 1] as string)
    }
    headers.push('x-request-id', decisionId)
    if (head.acceptsTrailers) headers.push('te', 'trailers')
    if (trace) headers.push(...trace.headers(request))
    if (!identity) return { headers, sharedHeaders: [originOf(origin)] }
    if (identity.fromCache)
      return { headers, sharedHeaders: [originOf(origin), bearerOf(identity.minted)] }
    headers.push(...bearer(identity.minted))
    return { headers, sharedHeaders: [originOf(origin)] }
  }
}

const describeOrigin = (origin: Origin): readonly string[] =>
  Object.freeze([
    'x-forwarded-for',
    origin.forwardedFor,
    'x-forwarded-proto',
    origin.forwardedProto,
    'x-forwarded-host',
    origin.forwardedHost,
    'forwarded',
    origin.forwarded,
    'via',
    origin.via,
  ])

const bearer = ({ token }: MintedToken): readonly string[] =>
  Object.freeze(['authorization', `Bearer ${token.reveal()}`])
