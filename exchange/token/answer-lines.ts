import type { Log } from '#contract/telemetry'
import type { FastifyReply } from '#http/listen'
import type { VisitTogether } from '../visits.ts'
import { always, type TokenAnswer } from './respond.ts'

/** The answers to the questions of one request, a line each. */
export type AnswerLines = {
  /** Its record ends with its answer, or with the connection. */
  readonly follow: (visit: VisitTogether) => void
  readonly write: (place: number, answer: TokenAnswer, visit: VisitTogether) => void
}

type Line = {
  readonly text: string
  readonly status: number
  readonly visit: VisitTogether
}

const headers = { ...always, 'content-type': 'application/x-ndjson' }

/** Those that are known in one turn of the event loop leave in one write. */
export const answerLines = (res: FastifyReply['raw'], count: number, log: Log): AnswerLines => {
  const followed: VisitTogether[] = []
  let waiting: Line[] = []
  let left = count

  /** Ends the records that have not ended with an answer. */
  const gone = () => {
    for (const visit of followed) visit.end({ status: 0, isSent: false, bytesOut: 0 })
  }
  const send = (lines: readonly Line[]) => {
    if (!res.headersSent) res.writeHead(200, headers)
    let text = ''
    for (const line of lines) text += line.text
    const written = (error?: Error | null) => {
      for (const { text: sent, status, visit } of lines)
        visit.end({ status, isSent: !error, bytesOut: sent.length })
    }
    if (left === 0) res.end(text, written)
    else res.write(text, written)
  }
  const flush = () => {
    const lines = waiting
    waiting = []
    if (res.destroyed) return gone()
    try {
      send(lines)
    } catch (cause) {
      log.error({ err: cause }, 'answers of the exchange could not be sent')
      gone()
      res.destroy()
    }
  }
  res.once('close', gone)

  return {
    follow: (visit) => {
      followed.push(visit)
    },
    write: (place, answer, visit) => {
      left -= 1
      const text = lineOf(place, answer)
      if (waiting.push({ text, status: answer.status, visit }) === 1) setImmediate(flush)
    },
  }
}

/** A `TokenBatchAnswer`, put together by hand: its body is JSON already. */
const lineOf = (place: number, { status, headers: { 'retry-after': wait }, body }: TokenAnswer) =>
  `{"question":${place},"status":${status},${wait === undefined ? '' : `"retry_after":${Number(wait)},`}"body":${body}}\n`
