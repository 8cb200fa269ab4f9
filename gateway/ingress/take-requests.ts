import { ServerResponse, type IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { AuditEvent, AuditSink } from '#contract/audit-event'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Problem } from '#contract/problem'
import type { CallerRequest, CallerResponse } from '#http/caller'
import { bodyOf, defaultBodyLimits } from '#http/body'
import type { Soon } from '#contract/step'
import type { Doors } from '#http/doors'
import { peerOf, type Peer } from '#http/peer'
import { replyProblem, replyProblemOnSocket, type Replied } from '#http/problem-reply'
import { answer, type Door, type Ending, type Exchange, type Sent } from '../answer.ts'
import type { Watch, Way } from '../compose.ts'
import { cutting, type Cut } from '../cut.ts'
import type { LiveTable } from '../live.ts'
import { answerWriter } from './answer-out.ts'
import { abuseRecord, auditRecords } from './audit-record.ts'
import { decisionIds } from './decision-ids.ts'
import type { IngressFigures } from './figures.ts'
import { forward } from './forward.ts'
import type { IngressParts } from './parts.ts'
import type { Admitted } from './pipeline.ts'
import { readable, sendPreflight, type Preflights } from './preflight.ts'
import type { Received } from './received.ts'
import type { TraceRequests } from './request-trace.ts'
import { forwardUpgrade } from './upgrade.ts'
import { upstreamHeaders } from './upstream-headers.ts'

/** What serves one request, of the configuration that is current when it comes. */
export type Serving = {
  readonly way: Way<Received, Admitted>
  /** Where a route has `cors`. */
  readonly preflights: Preflights | undefined
  readonly parts: IngressParts
  /** The request is over. */
  readonly leave: () => void
}

export type Taking = {
  readonly enter: () => Serving
  readonly live: LiveTable
  readonly audit: AuditSink
  readonly figures: IngressFigures
  /** Absent where no traces are taken. */
  readonly trace?: TraceRequests | undefined
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Told of every failure that is a bug of ours, with its stack. */
  readonly bug: (decisionId: string, step: string, cause: unknown) => void
}

/** Whoever stands at the doors. */
export type Taken = Pick<Doors, 'upgrade' | 'connect'> & {
  /** Of whichever version of HTTP. */
  readonly request: (req: CallerRequest, res: CallerResponse) => Soon<void>
  /** Records a connection that was ended for what its caller did on it. */
  readonly abused: (peer: Peer, cause: string) => void
}

/** Takes what comes in at any door and brings it to its end: answered, recorded and counted, once. */
export const takeRequests = (taking: Taking): Taken => {
  const { enter } = taking
  const answerOut = answerWriter(taking.clock)
  const headersOf = upstreamHeaders()
  const newDecisionId = decisionIds(taking.randomBytes)
  const auditRecord = auditRecords()
  /** Steps are timed of one request a millisecond: under load, timing those of each takes longer than most steps do. */
  let lastTimedMs = 0

  const run = (serving: Serving, exchange: Exchange<Received, Admitted>): Soon<void> =>
    runAlong(serving.way, serving, exchange, (event) => event)

  const runAlong = <Known extends Received>(
    way: Way<Received, Known>,
    serving: Serving,
    exchange: Exchange<Received, Known>,
    told: (event: AuditEvent) => AuditEvent,
  ): Soon<void> => {
    const { live, figures } = taking
    const { trace, nowMs } = exchange.received
    const isTimed = nowMs !== lastTimedMs
    lastTimedMs = nowMs
    return answer(way, exchange, {
      open: live.add,
      leave: serving.leave,
      watch:
        isTimed && trace
          ? both(figures.watch, trace.watch)
          : isTimed
            ? figures.watch
            : trace?.watch,
      record: (ended) => {
        // What is known of a preflight is some of what is known of a request.
        const ending = ended as unknown as Ending<Received, Admitted>
        const event = told(auditRecord(ending))
        taking.audit.write(event)
        figures.ended(ending, event.outcome)
        trace?.ended(ending, event.outcome)
        if (event.problem === 'internal')
          taking.bug(event.decisionId, event.step, ending.sent.problem?.cause)
      },
    })
  }

  const request = (req: CallerRequest, res: CallerResponse) => {
    const serving = enter()
    const received = receive('request', req, res, newDecisionId(), taking)
    const refuse = once((problem) => {
      const told = readable(problem, received as Partial<Admitted>)
      return replyProblem(res, told, received.decisionId, taking.clock())
    })
    const cut = cutting(refuse)
    if (req.method === 'OPTIONS' && serving.preflights?.isOne(req))
      return runAlong(
        serving.preflights.way,
        serving,
        { received, send: (asked) => sendPreflight(res, asked), refuse, cut: refuse },
        answeredHere,
      )
    return run(serving, {
      received,
      send: (admitted, end) =>
        forward(admitted, res, forwarding(serving, refuse, cut), (sent) => {
          try {
            end(sent)
          } catch (cause) {
            taking.bug(received.decisionId, 'record', cause) // nobody else hears of it
          }
        }),
      refuse,
      cut: cut.cut,
    })
  }

  const upgrade = (req: IncomingMessage, socket: Duplex, early: Buffer) => {
    const serving = enter()
    const received = { ...receive('upgrade', req, undefined, newDecisionId(), taking), early }
    let res: ServerResponse | undefined
    const refuse = once((problem) =>
      res
        ? replyProblem(res, problem, received.decisionId)
        : replyProblemOnSocket(socket, problem, received.decisionId),
    )
    const cut = cutting(refuse)
    return run(serving, {
      received,
      send: (admitted) => {
        res = responseOn(socket, req)
        return forwardUpgrade(admitted, res, socket, forwarding(serving, refuse, cut))
      },
      refuse,
      cut: cut.cut,
    })
  }

  /** No tunnels are served here: the gate refuses them, and the record says so. */
  const connect = (req: IncomingMessage, socket: Duplex) => {
    const received = receive('connect', req, undefined, newDecisionId(), taking)
    const refuse = once((problem) => replyProblemOnSocket(socket, problem, received.decisionId))
    return run(enter(), {
      received,
      send: async () => refuse({ tag: 'method-not-allowed' }),
      refuse,
      cut: refuse,
    })
  }

  const forwarding = ({ parts }: Serving, refuse: (problem: Problem) => Sent, cut: Cut) => ({
    quotaHeaders: parts.quotaHeaders,
    refuse,
    cut,
    answerOut,
    headersOf,
    ended: taking.figures.upstreamEnded,
  })

  const abused = (peer: Peer, cause: string) =>
    taking.audit.write(abuseRecord(peer, cause, taking.clock(), newDecisionId()))

  return { request, upgrade, connect, abused }
}

/** Nothing was forwarded. */
const answeredHere = (event: AuditEvent): AuditEvent =>
  event.outcome === 'forwarded' ? { ...event, outcome: 'answered' } : event

/** What was refused once stays refused, with the problem that it was refused with. */
const once = (reply: (problem: Problem) => Replied): ((problem: Problem) => Sent) => {
  let sent: Sent | undefined
  return (problem) => (sent ??= { ...reply(problem), problem })
}

/** For the answer to a handshake; Node gives none at this door. The connection ends with it. */
export const responseOn = (socket: Duplex, req: IncomingMessage): ServerResponse => {
  const res = new ServerResponse(req)
  const drained = () => res.emit('drain')
  res.shouldKeepAlive = false
  res.assignSocket(socket as Socket)
  socket.on('drain', drained)
  res.once('finish', () => {
    socket.off('drain', drained).end(() => socket.destroy())
  })
  return res
}

/** The limit on the size is the route's; it is applied once that is known. Nothing is read before. */
const bodyLimits = { ...defaultBodyLimits, maxBodyBytes: Number.MAX_SAFE_INTEGER }

const receive = (
  door: Door,
  req: CallerRequest,
  res: CallerResponse | undefined,
  decisionId: string,
  { clock, trace }: Taking,
): Received => {
  const received: Received & ToBeLearned = {
    door,
    raw: req,
    peer: peerOf(req.socket),
    nowMs: clock(),
    decisionId,
    body: bodyOf(req, res, bodyLimits),
    trace: trace?.(decisionId),
    // Each fact has its place from the start: an object that grows with every step is moved again and again.
    head: undefined,
    origin: undefined,
    addressQuota: undefined,
    route: undefined,
    caller: undefined,
    subject: undefined,
    routeQuota: undefined,
    callerQuota: undefined,
    inspection: undefined,
    decision: undefined,
    identity: undefined,
    endpoint: undefined,
  }
  return received
}

type ToBeLearned = { readonly [Fact in Exclude<keyof Admitted, keyof Received>]: undefined }

const both =
  (one: Watch, other: Watch): Watch =>
  (step, elapsedMs) => {
    one(step, elapsedMs)
    other(step, elapsedMs)
  }
