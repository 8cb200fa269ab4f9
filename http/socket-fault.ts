import type { Duplex } from 'node:stream'
import type { ProblemTag } from '#contract/problem'

const faultKey = Symbol('what the parser or a timer had against this connection')
type Marked = { [faultKey]?: ProblemTag }

/**
 * Notes at a socket why we end it, so that whoever is reading a body from it can say so: to a stream the end looks the
 * same whether the caller left, sent a broken chunk or was too slow.
 */
export const markFault = (socket: Duplex, tag: ProblemTag): void => {
  ;(socket as Marked)[faultKey] ??= tag
}

/** Why we ended this socket; undefined if we did not. */
export const faultOf = (socket: Duplex): ProblemTag | undefined => (socket as Marked)[faultKey]
