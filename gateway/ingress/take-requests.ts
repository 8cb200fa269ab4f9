import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { AuditSink } from '#contract/audit-event'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Problem } from '#contract/problem'
import { bodyOf, defaultBodyLimits } from '#http/body'
import type { Doors } from '#http/doors'
import { peerOf } from '#http/peer'
import { replyProblem, replyProblemOnSocket } from '#http/problem-reply'
import { answer, type Door, type Exchange } from '../answer.ts'
import type { Way } from '../compose.ts'
import type { LiveTable } from '../live.ts'
import { auditRecord } from './audit-record.ts'
import type { IngressFigures } from './figures.ts'
import { forward } from './forward.ts'
import type { IngressParts } from './parts.ts'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'

/** What serves one request, of the configuration that is current when it comes. */
export type Serving = {
  readonly way: Way<Received, Admitted>
  readonly parts: IngressParts
  /** The request is over. */
  readonly leave: () => void
}

export type Taking = {
  readonly enter: () => Serving
  readonly live: LiveTable
  readonly audit: AuditSink
  readonly figures: IngressFigures
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Told of every failure that is a bug of ours, with its stack. */
  readonly bug: (decisionId: string, step: string, cause: unknown) => void
}

/** Whoever stands at the doors. */
export type Taken = Pick<Doors, 'request' | 'upgrade' | 'connect'>

/** Takes what comes in at any door and brings it to its end: answered, recorded and counted, once. */
export const takeRequests = (taking: Taking): Taken => {
  const { enter, clock, randomBytes } = taking

  const run = async (serving: Serving, exchange: Exchange<Received, Admitted>): Promise<void> => {
    const { live, figures } = taking
    await answer(serving.way, exchange, {
      open: live.add,
      watch: figures.watch,
      record: (ending) => {
        const event = auditRecord(ending)
        taking.audit.write(event)
        figures.ended(ending, event.outcome)
        if (event.problem === 'internal')
          taking.bug(event.decisionId, event.step, ending.sent.problem?.cause)
      },
    })
    serving.leave()
  }

  const request = (req: IncomingMessage, res: ServerResponse) => {
    const serving = enter()
    const received = receive('request', req, res, clock(), randomBytes)
    const refuse = (problem: Problem) => ({
      ...replyProblem(res, problem, received.decisionId),
      problem,
    })
    return run(serving, {
      received,
      send: (admitted) =>
        forward(admitted, res, {
          quotaHeaders: serving.parts.quotaHeaders,
          refuse,
          ended: taking.figures.upstreamEnded,
        }),
      refuse,
      cut: () => res.destroy(),
    })
  }

  /** Neither upgrades nor tunnels are served here: the gate refuses them, and the record says so. */
  const notServed = (door: 'upgrade' | 'connect') => (req: IncomingMessage, socket: Duplex) => {
    const received = receive(door, req, undefined, clock(), randomBytes)
    const refuse = (problem: Problem) => ({
      ...replyProblemOnSocket(socket, problem, received.decisionId),
      problem,
    })
    return run(enter(), {
      received,
      send: async () => refuse({ tag: 'upgrade-refused' }),
      refuse,
      cut: () => socket.destroy(),
    })
  }

  return { request, upgrade: notServed('upgrade'), connect: notServed('connect') }
}

/** The limit on the size is the route's; it is applied once that is known. Nothing is read before. */
const bodyLimits = { ...defaultBodyLimits, maxBodyBytes: Number.MAX_SAFE_INTEGER }

const receive = (
  door: Door,
  req: IncomingMessage,
  res: ServerResponse | undefined,
  nowMs: number,
  randomBytes: RandomBytes,
): Received => ({
  door,
  raw: req,
  peer: peerOf(req.socket),
  nowMs,
  decisionId: randomBytes(16).toString('hex'),
  body: bodyOf(req, res, bodyLimits),
})
