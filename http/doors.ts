import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Duplex } from 'node:stream'
import type { ProblemTag } from '#contract/problem'
import type { LabelsOf } from '#contract/telemetry'
import type { CallerResponse } from './caller.ts'
import { ignoreError } from './ignore-error.ts'
import { perTurn } from './per-turn.ts'
import { replyProblem, replyProblemOnSocket } from './problem-reply.ts'
import { markFault } from './socket-fault.ts'

export type TurnedAwayReason = LabelsOf<'sallyport_turned_away_total'>['reason']

/** Who stands at each door. What they throw is a bug: it goes to `failed`, and the caller gets a 500. */
export type Doors = {
  /** Every request, those with `Expect: 100-continue` too: 100 is sent when the body is first wanted. */
  readonly request: (req: IncomingMessage, res: ServerResponse) => void | Promise<void>
  /** @param head Bytes that came right behind the request. */
  readonly upgrade: (req: IncomingMessage, socket: Duplex, head: Buffer) => void | Promise<void>
  readonly connect: (req: IncomingMessage, socket: Duplex, head: Buffer) => void | Promise<void>
  /** Told of each connection or request that ended before it came to a door. */
  readonly turnedAway: (reason: TurnedAwayReason) => void
  readonly failed: (cause: unknown) => void
}

/** Every way a caller can come in, and every reply that Node would give without asking us. */
export const openDoors = (server: HttpServer | HttpsServer, doors: Doors): void => {
  const { turnedAway } = doors
  const enter = requestDoor(doors)
  const request = (req: IncomingMessage, res: ServerResponse) => {
    const count = noteAnswer(req.socket, res)
    // Node only says that it is the last one, and goes on (with 503) if the caller does.
    if (count === server.maxRequestsPerSocket) res.shouldKeepAlive = false
    enter(req, res)
  }
  const raw =
    (door: 'upgrade' | 'connect') => (req: IncomingMessage, socket: Duplex, head: Buffer) => {
      socket.on('error', ignoreError)
      // Behind a request that is not answered yet: nothing of ours may come before that answer, and Node reads no more
      // here. No client does this.
      if (answerOn(socket) !== undefined) {
        turnedAway('parse')
        socket.end(() => socket.destroy())
        return
      }
      guarded(() => doors[door](req, socket, head), failedOn(socket))
    }
  /** By itself, for it waits as long as a tunnel lives, and would keep its request. */
  const failedOn = (socket: Duplex) => (cause: unknown) => {
    doors.failed(cause)
    replyProblemOnSocket(socket, { tag: 'internal' })
  }
  const unreadable = (error: NodeJS.ErrnoException, socket: Duplex) => {
    if (isRefused in socket && error.code !== 'ECONNRESET') return // what still comes is not looked at
    if (tlsFailed in socket || error.code === 'ECONNRESET' || !socket.writable)
      return void socket.destroy()
    const { tag, reason } = parserProblems[error.code ?? ''] ?? parserProblems.other
    markFault(socket, error.code === callerLeft ? 'caller-gone' : tag)
    const answer = answerOn(socket)
    if (answer === undefined) turnedAway(reason) // else it came to a door, and its record says how it ended
    // Into an answer that has begun, or before one that is due first, nothing of ours may come. What is written goes out.
    if (answer !== undefined && (answer.res.headersSent || answer.isBehindOther))
      socket.end(() => socket.destroy())
    else {
      Object.assign(socket, { [isRefused]: true })
      replyProblemOnSocket(socket, { tag })
    }
  }

  server.on('request', request)
  server.on('checkContinue', request)
  server.on('checkExpectation', (_req: IncomingMessage, res: ServerResponse) => {
    turnedAway('expectation')
    replyProblem(res, { tag: 'expectation-failed' })
  })
  server.on('upgrade', raw('upgrade'))
  server.on('connect', raw('connect'))
  server.on('clientError', unreadable)
  server.on('dropRequest', () => turnedAway('requests-per-socket')) // behind the last answer
  server.on('drop', () => turnedAway('too-many-connections'))
  // node:https makes a clientError of this too, so it has to be known as what it is before.
  server.prependListener('tlsClientError', (error: NodeJS.ErrnoException, socket: Duplex) => {
    Object.assign(socket, { [tlsFailed]: true })
    turnedAway(error.code === 'ECONNRESET' ? 'other' : 'tls')
  })
}

/** A door for requests: those of one turn of the event loop come in one after the other. */
export const requestDoor = <Req, Res extends CallerResponse>(doors: {
  readonly request: (req: Req, res: Res) => void | Promise<void>
  readonly failed: (cause: unknown) => void
}): ((req: Req, res: Res) => void) => {
  const enter = perTurn(({ req, res }: { readonly req: Req; readonly res: Res }) =>
    guarded(
      () => doors.request(req, res),
      (cause) => {
        doors.failed(cause)
        replyProblem(res, { tag: 'internal' })
      },
    ),
  )
  return (req, res) => enter({ req, res })
}

/** The connection was ended in the middle of a request. */
const callerLeft = 'HPE_INVALID_EOF_STATE'

type ParserProblem = { readonly tag: ProblemTag; readonly reason: TurnedAwayReason }

const parserProblems: Record<string, ParserProblem> & { readonly other: ParserProblem } = {
  HPE_HEADER_OVERFLOW: { tag: 'headers-too-large', reason: 'headers-too-large' },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: { tag: 'body-too-large', reason: 'parse' },
  ERR_HTTP_REQUEST_TIMEOUT: { tag: 'request-timeout', reason: 'timeout' },
  other: { tag: 'request-malformed', reason: 'parse' },
}

const guarded = (door: () => void | Promise<void>, failed: (cause: unknown) => void): void => {
  try {
    door()?.catch(failed)
  } catch (cause) {
    failed(cause)
  }
}

const tlsFailed = Symbol('the handshake failed on this socket')
const isRefused = Symbol('a request on this socket could not be read, and was answered so')
const lastAnswer = Symbol('the last answer begun on this socket')
type Answer = {
  readonly res: ServerResponse
  readonly isBehindOther: boolean
  /** How many there were on this socket, this one included. */
  readonly count: number
}
type Answering = Duplex & { [lastAnswer]?: Answer }

const noteAnswer = (socket: Answering, res: ServerResponse): number => {
  const count = (socket[lastAnswer]?.count ?? 0) + 1
  socket[lastAnswer] = { res, isBehindOther: answerOn(socket) !== undefined, count }
  return count
}

/** The answer that is under way on this socket, the last one if several are (pipelining). */
export const answerOn = (socket: Duplex): Answer | undefined => {
  const answer = (socket as Answering)[lastAnswer]
  return answer === undefined || answer.res.writableFinished ? undefined : answer
}
