import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AuditSink } from '#contract/audit-event'
import type { Clock, RandomBytes } from '#contract/clock'
import type { Problem } from '#contract/problem'
import { bodyOf } from '#http/body'
import { peerOf } from '#http/peer'
import { replyProblem } from '#http/problem-reply'
import { answer, type Sent } from '../answer.ts'
import type { Way } from '../compose.ts'
import type { LiveTable } from '../live.ts'
import { auditRecord } from './audit-record.ts'
import type { ingressFigures } from './figures.ts'
import { forward } from './forward.ts'
import type { IngressParts } from './parts.ts'
import type { Admitted } from './pipeline.ts'
import type { Received } from './received.ts'

/** What serves one request, of the runtime that is current when it comes. */
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
  readonly figures: ReturnType<typeof ingressFigures>
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  /** Told of every problem that is a bug of ours, with its stack. */
  readonly bug: (decisionId: string, step: string, cause: unknown) => void
}

/** Longest body that any route may take; each has its own limit below it. */
const maxBodyBytes = Number.MAX_SAFE_INTEGER
/** Time that a caller may make us wait for its body, back-pressure of the service not counted. */
const maxBodyWaitMs = 60_000
const minBodyBytesPerSecond = 128

/** Takes requests from the listener's door and brings each to its end. */
export const takeRequests =
  ({ enter, live, audit, figures, clock, randomBytes, bug }: Taking) =>
  async (req: IncomingMessage, res: ServerResponse): Promise<void> => {
    const { way, parts, leave } = enter()
    const received = receive(req, res, clock(), randomBytes)
    const refuse = (problem: Problem): Sent => ({
      ...replyProblem(res, problem, received.decisionId),
      problem,
    })
    await answer(
      way,
      {
        received,
        send: (request) =>
          forward(request, res, {
            quotaHeaders: parts.quotaHeaders,
            refuse,
            ended: figures.upstreamEnded,
          }),
        refuse,
        cut: () => res.destroy(),
      },
      {
        open: live.add,
        watch: figures.watch,
        record: (ending) => {
          const event = auditRecord(ending)
          audit.write(event)
          figures.ended(ending, event.outcome)
          if (event.problem === 'internal')
            bug(event.decisionId, event.step, ending.sent.problem?.cause)
        },
      },
    )
    leave()
  }

const receive = (
  req: IncomingMessage,
  res: ServerResponse,
  nowMs: number,
  randomBytes: RandomBytes,
): Received => ({
  door: 'request',
  raw: req,
  peer: peerOf(req.socket),
  nowMs,
  decisionId: randomBytes(16).toString('hex'),
  body: bodyOf(req, res, {
    maxBodyBytes,
    maxWaitMs: maxBodyWaitMs,
    minBytesPerSecond: minBodyBytesPerSecond,
  }),
})
