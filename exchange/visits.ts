import { isoTimes } from '#contract/clock'
import type { TokenBatchQuestion } from '#contract/token-exchange'
import type { FastifyReply, FastifyRequest } from '#http/listen'
import type { Peer, PeerOf } from './peer.ts'
import {
  beginRecord,
  causeOf,
  describeRequest,
  openRecord,
  type Ending,
  type ExchangeRecord,
  type RecordParts,
} from './record.ts'

/** One question to the exchange, from its head to its answer. */
export type Visit = {
  readonly record: ExchangeRecord
  readonly peer: Peer
  /** Read once, so that all of it is judged at one instant. */
  readonly nowMs: number
  readonly beganAt: number
}

/** One of several questions that came in one request. Its record is written when its end is told. */
export type VisitTogether = Visit & { readonly end: (ending: Ending) => void }

export type Visits = {
  readonly begin: (request: FastifyRequest, reply: FastifyReply) => Visit
  readonly of: (request: FastifyRequest) => Visit
  /** For the questions of a gateway that came in one request: each gets a record of its own, in place of the request's. */
  readonly together: (request: FastifyRequest) => (question: TokenBatchQuestion) => VisitTogether
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
  const visitOf = (request: FastifyRequest): Visit => {
    const visit = (request as Visited)[key]
    if (visit === undefined) throw new TypeError('this request was not begun')
    return visit
  }
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
    of: visitOf,
    together: (request) => {
      const { record: ofAll, peer, nowMs, beganAt } = visitOf(request)
      ofAll.discard()
      const described = describeRequest(request, peer.kind === 'proven' ? peer.spiffeId : undefined)
      const time = timeOf(nowMs)
      return ({ form, request_id, traceparent }) => {
        const { decisionId = parts.newDecisionId(), traceId } = causeOf(request_id, traceparent)
        const record = openRecord(
          {
            kind: parts.kind,
            time,
            decisionId,
            traceId,
            bytesIn: form.length,
            request: described,
          },
          parts.audit,
        )
        return { record, peer, nowMs, beganAt, end: record.end }
      }
    },
  }
}
