import { auditEventVersion, type AuditEvent, type AuditSink } from '#contract/audit-event'
import { causeText } from '#contract/cause'
import { isoTime, type Clock } from '#contract/clock'
import { problems, type Problem } from '#contract/problem'
import type { SpiffeId } from '#contract/spiffe-id'
import { howAnswered } from '#http/answered'
import type { CallerRequest } from '#http/caller'
import { peerOf as connectionOf, type Peer as Connection } from '#http/peer'
import { readTraceContext } from '#http/trace-context'
import type { FastifyReply, FastifyRequest } from '#http/listen'

/** What can be learned on the way through an exchange. */
export type Facts = Pick<
  AuditEvent,
  | 'caller'
  | 'spiffeId'
  | 'mapping'
  | 'mappingRevision'
  | 'asked'
  | 'minted'
  | 'parent'
  | 'client'
  | 'actor'
  | 'grant'
  | 'policy'
>

/** The record of one exchange while it is being written. */
export type ExchangeRecord = {
  readonly decisionId: string
  /** Names the step that is now being taken: where it stops, that is where it stopped. */
  readonly at: (step: string) => void
  /** Adds facts, which stay whatever comes after. */
  readonly learn: (facts: Facts) => void
  readonly refused: (problem: Problem) => void
  /** What was ordered, where no other field says it. */
  readonly note: (detail: string) => void
  /** It is not written: all that it is about has records of its own. */
  readonly discard: () => void
}

export type RecordParts = {
  readonly audit: AuditSink
  readonly clock: Clock
  readonly newDecisionId: () => string
  /** Who may say which request of theirs caused this one. */
  readonly gateways: ReadonlySet<SpiffeId>
}

/** Where a gateway says that. */
const decisionIdHeader = 'x-request-id'
const traceHeader = 'traceparent'
const decisionIdPattern = /^[A-Za-z0-9_-]{1,64}$/

/** What is known of a question when its record begins. */
export type Opening = {
  readonly kind: 'exchange' | 'admin'
  readonly time: string
  readonly decisionId: string
  readonly traceId: string | undefined
  readonly bytesIn: number
  readonly request: NonNullable<AuditEvent['request']>
}

/** How a question ended. */
export type Ending = {
  readonly status: number
  /** Whether all of the answer went out. */
  readonly isSent: boolean
  readonly bytesOut: number
}

/** Begins the record of one question. It is written at the first `end`, and not again. */
export const openRecord = (
  { traceId, ...opening }: Opening,
  audit: AuditSink,
): ExchangeRecord & { readonly end: (ending: Ending) => void } => {
  const beganAt = performance.now()
  let step = 'receive'
  const facts: Facts = {}
  let problem: Problem | undefined
  let noted: string | undefined
  let isWritten = false
  return {
    decisionId: opening.decisionId,
    at: (name) => {
      step = name
    },
    learn: (more) => {
      Object.assign(facts, more)
    },
    refused: (why) => {
      problem = why
    },
    note: (detail) => {
      noted = detail
    },
    discard: () => {
      isWritten = true
    },
    end: ({ status, isSent, bytesOut }) => {
      if (isWritten) return
      isWritten = true
      const ended = howAnswered({ status, isSent }, problem)
      audit.write({
        version: auditEventVersion,
        ...opening,
        ...(traceId === undefined ? {} : { traceId }),
        step: ended.problem === 'none' ? 'none' : step,
        ...(noted === undefined ? {} : { detail: noted }),
        ...ended,
        durationMs: Math.round((performance.now() - beganAt) * 1000) / 1000,
        bytesOut,
        door: 'request',
        ...facts,
      })
    },
  }
}

/**
 * Begins the record of one request. It is written when the answer has gone out or the connection is gone, whatever
 * happened.
 */
export const beginRecord = (
  request: FastifyRequest,
  reply: FastifyReply,
  peer: SpiffeId | undefined,
  time: string,
  { audit, kind, newDecisionId, gateways }: RecordParts & { readonly kind: Opening['kind'] },
): ExchangeRecord => {
  const mayTell = peer !== undefined && gateways.has(peer)
  const caused = mayTell
    ? causeOf(request.headers[decisionIdHeader], request.headers[traceHeader])
    : undefined
  const record = openRecord(
    {
      kind,
      time,
      decisionId: caused?.decisionId ?? newDecisionId(),
      traceId: caused?.traceId,
      bytesIn: Number(request.headers['content-length'] ?? 0),
      request: describeRequest(request, peer), // now: a closed socket has no address
    },
    audit,
  )
  const end = () =>
    record.end({
      status: reply.raw.statusCode,
      isSent: reply.raw.writableFinished,
      bytesOut: Number(reply.getHeader('content-length') ?? 0),
    })
  reply.raw.once('finish', end)
  reply.raw.once('close', end)
  return record
}

/** The record of a request that the gate refused before it could become a question. */
export const recordTurnedDown = (
  { method = '', httpVersion, socket }: Pick<CallerRequest, 'method' | 'httpVersion' | 'socket'>,
  problem: Problem,
  parts: RecordParts,
): void => {
  const { address } = connectionOf(socket)
  writeTurnedDown({ method: method.slice(0, 32), httpVersion, address }, 'receive', problem, parts)
}

/** The record of a connection of HTTP/2 that was ended for what came on it; its questions have records of their own. */
export const recordAbused = ({ address }: Connection, cause: string, parts: RecordParts): void =>
  writeTurnedDown(
    { method: '', httpVersion: '2', address },
    'connection',
    { tag: 'connection-abused', cause },
    parts,
  )

const writeTurnedDown = (
  {
    method,
    httpVersion,
    address,
  }: { readonly method: string; readonly httpVersion: string; readonly address: string },
  step: string,
  problem: Problem,
  { audit, clock, newDecisionId }: RecordParts,
): void =>
  audit.write({
    version: auditEventVersion,
    kind: 'exchange',
    time: isoTime(clock()),
    decisionId: newDecisionId(),
    outcome: 'refused',
    step,
    problem: problem.tag,
    ...(problem.detail === undefined ? {} : { detail: problem.detail }),
    ...(problem.cause === undefined ? {} : { cause: causeText(problem.cause) }),
    status: problems[problem.tag].status,
    durationMs: 0,
    bytesIn: 0,
    bytesOut: 0,
    door: 'request',
    request: {
      method,
      host: '',
      path: '', // what was sent is not known to be a path
      protocol: `HTTP/${httpVersion}`,
      address,
    },
  })

/** What a gateway says of the request that caused a question, as far as it can be believed. */
export const causeOf = (decisionId: unknown, traceParent: unknown) => ({
  decisionId:
    typeof decisionId === 'string' && decisionIdPattern.test(decisionId) ? decisionId : undefined,
  traceId:
    typeof traceParent === 'string'
      ? readTraceContext([traceHeader, traceParent])?.traceId
      : undefined,
})

export const describeRequest = (request: FastifyRequest, peer: SpiffeId | undefined) => {
  const { address, tlsVersion } = connectionOf(request.socket) // read once a connection
  return {
    method: request.method,
    host: request.headers.host ?? '',
    path: request.routeOptions.url ?? '', // what is served there, without a query that may hold secrets
    protocol: `HTTP/${request.raw.httpVersion}`,
    address,
    ...(tlsVersion === '' ? {} : { tls: tlsVersion }),
    ...(peer === undefined ? {} : { clientSpiffeId: peer }),
  }
}
