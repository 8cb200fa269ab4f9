import { Readable } from 'node:stream'
import { pass, type Problem, type Result } from '#contract/problem'
import type { Soon } from '#contract/step'
import type { CallerRequest, CallerResponse } from './caller.ts'
import { discardRest } from './discard.ts'
import { ignoreError } from './ignore-error.ts'
import { slownessWatch, type SlownessLimits } from './slow-body.ts'
import { faultOf } from './socket-fault.ts'

export type Peek = {
  readonly bytes: Buffer
  /** Whether that is all of the body. */
  readonly whole: boolean
}

/** A request's body. Anyone may look at its beginning; exactly one consumer takes it. */
export type Body = {
  /** False for a request that announces none: then nobody waits. */
  readonly expected: boolean
  /**
   * The first bytes, read once and kept; there when there are `maxBytes` or the body has ended. Asks for the body
   * (100-continue) if nobody did before.
   *
   * @returns Refuses with `body-too-large`, `request-timeout`, `request-malformed` or `caller-gone`.
   */
  readonly peek: (maxBytes: number) => Soon<Result<Peek>>
  /**
   * Keeps what is here by the end of this turn of the event loop, if that could be all: most small bodies come along with
   * their head, and one that is whole is cheaper to send than a stream. Asks for no body, and never waits for the caller.
   *
   * @param maxBytes Of one that says itself that it is longer, nothing is kept.
   */
  readonly keepSmall: (maxBytes: number) => Promise<void> | undefined
  /**
   * Hands over the whole body: null if there is none, a Buffer if all of it is here, else a stream. A stream that cannot
   * be read to its end is destroyed with an error, and `fault` says why; look at that at once, too. A second call is a bug
   * and throws.
   *
   * @param maxBodyBytes A lower limit than that which it began with, now that the route is known.
   * @param mayTakeLong It may come as slowly as its caller likes; whoever takes it bounds that.
   */
  readonly take: (maxBodyBytes?: number, mayTakeLong?: boolean) => null | Buffer | Readable
  /** Why no more of the body could be read; undefined as long as it can. */
  readonly fault: () => Problem | undefined
  /** Bytes that arrived so far. */
  readonly bytesIn: () => number
}

export type BodyLimits = SlownessLimits & {
  /** More is `body-too-large`: at once if the request says so, else when it arrives. */
  readonly maxBodyBytes: number
}

export const defaultBodyLimits: BodyLimits = {
  maxBodyBytes: 10 * 1024 * 1024,
  maxWaitMs: 0,
  minBytesPerSecond: 100,
  slowGraceMs: 5000,
}

type Response = Pick<CallerResponse, 'writeContinue' | 'once'>

/** Of a request that announces none. */
export const noBody: Body = {
  expected: false,
  peek: () => pass({ bytes: Buffer.alloc(0), whole: true }),
  keepSmall: () => undefined,
  take: () => null,
  fault: () => undefined,
  bytesIn: () => 0,
}

/**
 * Gives the body of a request its one owner.
 *
 * @param res Where 100-continue goes out; undefined where there is no response (upgrades). Once it is finished, what
 *   nobody has read of the body is thrown away.
 * @see RFC 9110 §10.1.1
 */
export const bodyOf = (req: CallerRequest, res: Response | undefined, limits: BodyLimits): Body => {
  const declared = req.headers['content-length']
  const declaredBytes = declared === undefined ? undefined : Number(declared)
  const expected = req.headers['transfer-encoding'] !== undefined || (declaredBytes ?? 0) > 0
  return expected ? expectedBody(req, res, limits, declaredBytes) : noBody
}

const expectedBody = (
  req: CallerRequest,
  res: Response | undefined,
  limits: BodyLimits,
  declaredBytes: number | undefined,
): Body => {
  const held: Buffer[] = []
  let heldBytes = 0
  let receivedBytes = 0
  let { maxBodyBytes } = limits
  let hasEnded = false
  let isTaken = false
  let isAsked = false
  let isTimed = true
  let problem: Problem | undefined
  let stream: Readable | undefined
  let streamWantsMore = false
  const peeks = new Set<{ readonly wantedBytes: number; readonly settle: () => void }>()

  const fail = (failure: Problem) => {
    if (hasEnded || problem) return
    problem = failure
    stopReading()
    stream?.destroy(unreadable(failure))
    for (const { settle } of peeks) settle()
  }
  const watch = slownessWatch(limits, () => receivedBytes, fail)

  /** Moves what has arrived to where it is wanted, and no more than that. */
  const move = () => {
    const isWanted = () => !hasEnded && !problem && (stream ? streamWantsMore : peeksWantMore())
    while (isWanted()) {
      const chunk = req.read() as Buffer | null
      if (chunk === null) return isTimed && !isAllHere() ? watch.waiting() : undefined
      receivedBytes += chunk.length
      if (receivedBytes > maxBodyBytes) return fail({ tag: 'body-too-large' })
      if (stream) streamWantsMore = stream.push(chunk)
      else hold(chunk)
    }
    watch.notWaiting()
  }
  const hold = (chunk: Buffer) => {
    held.push(chunk)
    heldBytes += chunk.length
    for (const { wantedBytes, settle } of peeks) if (isEnoughFor(wantedBytes)) settle()
  }
  /** Here to its last announced byte: its end is sure to follow. */
  const isAllHere = () => receivedBytes === declaredBytes
  /** Waiting for the end, where it is near, tells that it is whole. */
  const isEnoughFor = (bytes: number) => heldBytes >= bytes && !isAllHere()
  const peeksWantMore = () => [...peeks].some(({ wantedBytes }) => !isEnoughFor(wantedBytes))

  const onEnd = () => {
    if (problem) return
    if (declaredBytes !== undefined && receivedBytes !== declaredBytes)
      return fail({ tag: 'request-malformed', cause: 'the body has not its announced length' })
    hasEnded = true
    stopReading()
    stream?.push(null)
    for (const { settle } of peeks) settle()
  }
  const onAnswered = () => {
    if (hasEnded || req.destroyed) return
    stopReading()
    discardRest(req)
  }
  const onGone = () => fail({ tag: faultOf(req) ?? 'caller-gone' })
  const startReading = () => {
    if (isAsked) return
    isAsked = true
    if ((declaredBytes ?? 0) > maxBodyBytes) return fail({ tag: 'body-too-large' })
    if (req.destroyed) return onGone() // its 'close' is past and will not come again
    if (req.headers.expect !== undefined) res?.writeContinue() // a caller who was refused before never sent its body
    req.on('readable', move).on('end', onEnd).on('error', onGone).on('close', onGone)
    res?.once('finish', onAnswered)
  }
  const stopReading = () => {
    watch.stop()
    req.off('readable', move).off('end', onEnd).off('error', onGone).off('close', onGone)
  }

  /** Also of a body that is here to its end: it was read under a higher limit. */
  const refuseSize = () => {
    fail({ tag: 'body-too-large' })
    problem ??= { tag: 'body-too-large' }
  }

  const soFar = (maxBytes: number): Result<Peek> => {
    if (problem) return { ok: false, problem }
    const bytes = joined()
    return bytes.length <= maxBytes
      ? pass({ bytes, whole: hasEnded })
      : pass({ bytes: bytes.subarray(0, maxBytes), whole: false })
  }
  const joined = (): Buffer => {
    if (held.length !== 1) held.splice(0, held.length, Buffer.concat(held))
    return held[0] as Buffer
  }

  const peek = (maxBytes: number): Soon<Result<Peek>> => {
    if (isTaken) throw new Error('the body is gone: peek before it is taken')
    startReading()
    if (hasEnded || problem || isEnoughFor(maxBytes)) return soFar(maxBytes)
    return new Promise((resolve) => {
      const waiting = {
        wantedBytes: maxBytes,
        settle: () => {
          peeks.delete(waiting)
          resolve(soFar(maxBytes))
        },
      }
      peeks.add(waiting)
      move()
    })
  }

  const keepSmall = (maxBytes: number): Promise<void> | undefined => {
    const wantedBytes = Math.min(maxBytes, declaredBytes ?? maxBytes)
    const isAwaited = req.headers.expect !== undefined && !isAsked
    if (hasEnded || problem || isAwaited || (declaredBytes ?? 0) > maxBytes) return undefined
    startReading()
    return new Promise((resolve) => {
      const settle = () => {
        clearImmediate(turnOver)
        peeks.delete(waiting)
        resolve()
      }
      const turnOver = setImmediate(settle)
      const waiting = { wantedBytes, settle }
      peeks.add(waiting)
      if (problem) settle()
    })
  }

  const take = (
    lowerMaxBodyBytes: number = maxBodyBytes,
    mayTakeLong = false,
  ): Buffer | Readable => {
    if (isTaken) throw new Error('the body was taken already')
    if (peeks.size > 0) throw new Error('the body is still being peeked at')
    isTaken = true
    if (mayTakeLong) {
      isTimed = false
      watch.stop()
      req.mayTakeLong?.()
    }
    maxBodyBytes = Math.min(maxBodyBytes, lowerMaxBodyBytes)
    startReading()
    if (Math.max(receivedBytes, declaredBytes ?? 0) > maxBodyBytes) refuseSize()
    if (hasEnded) return joined()
    stream = new Readable({
      read: () => {
        streamWantsMore = true
        if (problem) stream?.destroy(unreadable(problem))
        else move()
      },
      destroy: (error, done) => {
        streamWantsMore = false
        stopReading()
        done(error)
      },
    })
    stream.on('error', ignoreError) // whoever reads it listens too, unless it is done with it by then
    if (heldBytes > 0) stream.push(joined())
    held.length = 0
    return stream
  }

  return {
    expected: true,
    peek,
    keepSmall,
    take,
    fault: () => problem,
    bytesIn: () => receivedBytes,
  }
}

const unreadable = ({ tag }: Problem) => new Error(`the body cannot be read: ${tag}`)
