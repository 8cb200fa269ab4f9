import type { Clock } from '#contract/clock'
import { oncePer } from '#contract/once-per'
import type { CallerResponse } from '#http/caller'
import { dateLines, headerLines, writtenLines } from '#http/header-lines'
import { perTurn } from '#http/per-turn'
import { faultOf } from '#http/socket-fault'
import type { AnswerHeaders } from './answer-headers.ts'

/** One answer on its way to the caller. */
export type AnswerOut = {
  readonly head: (status: number, headers: AnswerHeaders) => void
  /** False if no more should come until `drain`. */
  readonly data: (chunk: Buffer) => boolean
  /** @param trailers Come last, where there are any. */
  readonly end: (trailers?: readonly string[]) => void
  /** Of the body, as far as it was written. */
  readonly bytesOut: () => number
}

/** A body of one string goes out with its head in one write; a longer one is not worth copying. */
const maxBytesWithHead = 16_384

/**
 * Makes the writer of answers. A head waits until the end of the turn of the event loop, and so goes out together with what
 * of its body has arrived by then: a whole small answer in one piece, and all answers of the turn one after the other.
 *
 * Whoever answers otherwise in the meantime (a refusal) comes first, and the head that waited is dropped.
 */
export const answerWriter = (clock: Clock) => {
  const flushSoon = perTurn((flush: () => void) => flush())
  const linesOf = oncePer(headerLines)
  const dateLine = dateLines()

  /** What the service says in one answer after the other is a frozen list, whose lines are made once. */
  const endWhole = (
    res: CallerResponse,
    status: number,
    { theirs, ours }: AnswerHeaders,
    body: Buffer,
  ): boolean => {
    if (!res.endWhole || body.length > maxBytesWithHead || !Object.isFrozen(theirs)) return false
    const lines = linesOf(theirs)
    if (!lines) return false
    const date = lines.hasDate ? '' : dateLine(clock())
    return res.endWhole(status, lines.text + date + writtenLines(ours), body.toString('latin1'))
  }

  /** @param broken Told of what Node does not let us write: a bug of ours, or the upstream's header. */
  return (res: CallerResponse, broken: (cause: unknown) => void): AnswerOut => {
    let head: { readonly status: number; readonly headers: AnswerHeaders } | undefined
    let first: Buffer | undefined
    let hasEnded = false
    let trailers: readonly string[] = []
    let bytesOut = 0

    const write = (chunk: Buffer): boolean => {
      bytesOut += chunk.length
      return res.write(chunk)
    }
    const finish = () => {
      if (trailers.length > 0 && res.endWithTrailers) res.endWithTrailers(trailers)
      else res.end()
    }
    const flush = () => {
      if (!head) return
      const { status, headers } = head
      head = undefined
      // Where the connection ends for what came behind this request, its caller has been told so already.
      if (res.headersSent || res.destroyed || faultOf(res.req) !== undefined) return
      try {
        if (hasEnded && first && trailers.length === 0 && endWhole(res, status, headers, first)) {
          bytesOut += first.length
          return
        }
        const all = [...headers.theirs, ...headers.ours]
        if (hasEnded && !first && trailers.length === 0 && res.endWithHead)
          return res.endWithHead(status, all)
        res.writeHead(status, all)
        if (hasEnded && first && trailers.length === 0) {
          bytesOut += first.length
          endWith(res, first)
        } else {
          if (first) write(first)
          if (hasEnded) finish()
        }
      } catch (cause) {
        broken(cause)
      }
    }

    return {
      head: (status, headers) => {
        head = { status, headers }
        flushSoon(flush)
      },
      data: (chunk) => {
        if (head && !first) {
          first = chunk
          return true
        }
        flush()
        return write(chunk)
      },
      end: (after = []) => {
        hasEnded = true
        trailers = after
        if (!head) finish()
      },
      bytesOut: () => bytesOut,
    }
  }
}

const endWith = (res: CallerResponse, body: Buffer): void => {
  if (body.length > maxBytesWithHead) res.end(body)
  else res.end(body.toString('latin1'), 'latin1') // byte for byte; Node joins strings with the head
}
