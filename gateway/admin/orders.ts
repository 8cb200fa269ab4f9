import { auditEventVersion, type AuditEvent, type AuditSink } from '#contract/audit-event'
import { isoTime, type Clock, type RandomBytes } from '#contract/clock'
import type { Problem, Result } from '#contract/problem'
import { howAnswered } from '#http/answered'
import { sendProblem, type FastifyReply, type FastifyRequest } from '#http/listen'

/** What a record says of an order besides how it went. */
export type OrderFacts = Pick<AuditEvent, 'orderedBy' | 'detail' | 'quarantine'>

export type Order = {
  readonly decisionId: string
  /** Adds facts for the record, which stay whatever comes after. */
  readonly learn: (facts: OrderFacts) => void
}

export type Orders = {
  /** A hook that begins the record of an order, or refuses what could not be recorded. */
  readonly begin: (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>
  readonly of: (request: FastifyRequest) => Order
  /** Answers with a problem, and has the record say so. */
  readonly turnDown: (
    request: FastifyRequest,
    reply: FastifyReply,
    problem: Problem,
  ) => FastifyReply
}

export type OrderParts = {
  readonly audit: AuditSink
  readonly clock: Clock
  readonly randomBytes: RandomBytes
}

/**
 * Records what operators order: one record of kind `admin` each, written when the answer has gone out or the connection is
 * gone, whatever happened.
 */
export const recordedOrders = ({ audit, clock, randomBytes }: OrderParts): Orders => {
  type Kept = Order & { readonly refused: (problem: Problem) => void }
  const orders = new WeakMap<FastifyRequest, Kept>()
  const keptOf = (request: FastifyRequest): Kept => {
    const kept = orders.get(request)
    if (kept === undefined) throw new TypeError('this order was not begun')
    return kept
  }

  const begin = (request: FastifyRequest, reply: FastifyReply): Result<void> => {
    const beganAt = performance.now()
    const time = isoTime(clock())
    const described = describeRequest(request) // now: a closed socket has no address
    const decisionId = randomBytes(16).toString('hex')
    let facts: OrderFacts = {}
    let problem: Problem | undefined
    orders.set(request, {
      decisionId,
      learn: (more) => {
        facts = { ...facts, ...more }
      },
      refused: (why) => {
        problem = why
      },
    })
    let isSent = false // `writableFinished` says so only of a connection, and a worker's primary has that
    reply.raw.once('finish', () => (isSent = true))
    reply.raw.once('close', () => {
      const ended = howAnswered({ status: reply.raw.statusCode, isSent }, problem)
      audit.write({
        version: auditEventVersion,
        kind: 'admin',
        time,
        decisionId,
        step: ended.problem === 'none' ? 'none' : 'order',
        ...ended,
        durationMs: performance.now() - beganAt,
        bytesIn: Number(request.headers['content-length'] ?? 0),
        bytesOut: Number(reply.getHeader('content-length') ?? 0),
        door: 'request',
        request: described,
        ...facts,
      })
    })
    return audit.ready()
  }

  const turnDown: Orders['turnDown'] = (request, reply, problem) => {
    const kept = keptOf(request)
    kept.refused(problem)
    return sendProblem(reply, problem, kept.decisionId)
  }

  return {
    begin: async (request, reply) => {
      const recordable = begin(request, reply)
      return recordable.ok ? undefined : turnDown(request, reply, recordable.problem)
    },
    of: keptOf,
    turnDown,
  }
}

const describeRequest = (request: FastifyRequest) => ({
  method: request.method,
  host: request.headers.host ?? '',
  path: request.routeOptions.url ?? '',
  protocol: `HTTP/${request.raw.httpVersion}`,
  address: request.socket.remoteAddress ?? '',
})
