import { isoTimes } from '#contract/clock'
import type { FastifyReply, FastifyRequest } from '#http/listen'
import type { Peer, PeerOf } from './peer.ts'
import { beginRecord, type ExchangeRecord, type RecordParts } from './record.ts'

/** One question to the exchange, from its head to its answer. */
export type Visit = {
  readonly record: ExchangeRecord
  readonly peer: Peer
  /** Read once, so that all of it is judged at one instant. */
  readonly nowMs: number
  readonly beganAt: number
}

export type Visits = {
  readonly begin: (request: FastifyRequest, reply: FastifyReply) => Visit
  readonly of: (request: FastifyRequest) => Visit
}

/**
 * Keeps what belongs to each request with it, from the first hook on. On the request itself: what a `WeakMap` holds outlives
 * its key until the next full collection of garbage, and a record holds all of its question.
 */
export const visitsOf = (
  parts: RecordParts & { readonly kind: 'exchange' | 'admin'; readonly peerOf: PeerOf },
): Visits => {
  const key = Symbol('visit')
  const timeOf = isoTimes()
  type Visited = FastifyRequest & { [key]?: Visit }
  return {
    begin: (request, reply) => {
      const nowMs = parts.clock()
      const peer = parts.peerOf(request.socket, nowMs)
      const proven = peer.kind === 'proven' ? peer.spiffeId : undefined
      const record = beginRecord(request, reply, proven, timeOf(nowMs), parts)
      const visit = { record, peer, nowMs, beganAt: performance.now() }
      ;(request as Visited)[key] = visit
      return visit
    },
    of: (request) => {
      const visit = (request as Visited)[key]
      if (visit === undefined) throw new TypeError('this request was not begun')
      return visit
    },
  }
}
