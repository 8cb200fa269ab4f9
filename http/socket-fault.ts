import type { Duplex, Readable } from 'node:stream'
import type { ProblemTag } from '#contract/problem'

const faultKey = Symbol('what the parser or a timer had against this connection')
type Marked = { [faultKey]?: ProblemTag }

/**
 * Notes at a socket, or at one request of several on it, why we end it, so that whoever is reading a body from it can say
 * so: to a stream the end looks the same whether the caller left, sent a broken chunk or was too slow.
 */
export const markFault = (ended: Duplex | Readable, tag: ProblemTag): void => {
  ;(ended as Marked)[faultKey] ??= tag
}

/** Why we ended this request or its socket; undefined if we did not. */
export const faultOf = (request: { readonly socket: Duplex }): ProblemTag | undefined =>
  (request as Marked)[faultKey] ?? (request.socket as Marked)[faultKey]
