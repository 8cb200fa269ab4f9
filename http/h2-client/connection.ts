import type { Duplex } from 'node:stream'
import type { AnswerDecoder } from './answer-decoder.ts'
import { type Budget, budget } from './budget.ts'
import type { Exchange } from './exchange.ts'
import { settingsFrame, windowUpdateFrame } from './frame-writer.ts'
import { answerLimits, type H2Limits } from './options.ts'
import { connectionPreface, defaultWindowBytes, largestWindowBytes, setting } from './protocol.ts'
import type { Upload } from './upload.ts'

/** What the owner of a connection is told. */
export type ConnectionEvents = {
  /** A request ended, or the peer allows more: there may be room for one that waits. */
  readonly room: (connection: Connection) => void
  /** The peer did not process this request and nothing of its body was read: it may be sent again. */
  readonly resend: (exchange: Exchange, cause: Error) => void
  /** The first answer came: the peer works. */
  readonly proved: () => void
  /** It is closed, for `cause` if that was not intended. Called once. */
  readonly gone: (connection: Connection, cause: Error | undefined) => void
}

/** A field block of which not all has arrived. */
export type PartialBlock = {
  readonly streamId: number
  readonly endStream: boolean
  readonly parts: Buffer[]
  bytes: number
}

/**
 * The state of one connection. What is done with it lies beside it: `receive-*.ts` for what arrives, `streams.ts` for
 * requests, `upload.ts` and `flush.ts` for what is sent, `flow-control.ts`, `deadlines.ts`, `closing.ts`.
 */
export type Connection = {
  readonly socket: Duplex
  readonly limits: H2Limits
  readonly decoder: AnswerDecoder
  readonly events: ConnectionEvents
  /** `draining` takes no more requests, and closes when those in flight have ended. */
  state: 'open' | 'draining' | 'closed'
  /** `performance.now()` of the octets being read, or of the last tick: read once a turn, not once a frame. */
  nowMs: number

  /** Frames to be written at the end of this turn of the event loop: `parts`, then `out`. */
  out: string
  readonly parts: (string | Buffer)[]
  partsBytes: number
  flushScheduled: boolean
  /** The socket has enough; until it drains, nothing more is written. */
  blocked: boolean
  /** Set by `flush.ts`; one function a connection, so that scheduling it allocates nothing. */
  flush: () => void
  /** Bodies to be sent, each in turn; those that were stopped are passed over. */
  readonly sending: Upload[]

  /**
   * What is in flight, each in the slot that its stream id gives. Twice as large as there may be requests, so that a long
   * stream seldom stands in the way of a new one; if it does, that id is skipped (RFC 9113 §5.1.1).
   */
  readonly ring: (Exchange | undefined)[]
  readonly ringMask: number
  /** The last stream of each slot, and the last that we reset: what may still arrive of it. */
  readonly lastIds: Uint32Array
  readonly resetIds: Uint32Array
  nextStreamId: number
  /** Streams up to this one were written to the socket, so the peer may know of them. */
  flushedStreamId: number
  inFlight: number
  requestsLeft: number
  /** The last stream that the peer's GOAWAY promised to process. */
  goawayStreamId: number

  settingsReceived: boolean
  settingsAcknowledged: boolean
  peerMaxConcurrent: number
  peerInitialWindow: number
  /** The next field block has to begin with a table size update (RFC 9113 §4.3.1). */
  tableUpdateDue: boolean

  sendWindow: number
  receiveWindow: number
  uncredited: number
  partialBlock: PartialBlock | undefined

  readonly openedMs: number
  receivedMs: number
  /** When a PING went out that is not answered; 0 if none is. */
  pingSentMs: number
  idleSinceMs: number
  proved: boolean
  readonly overhead: Budget
  /** Octets that may still be under way on streams that we reset: those cost the peer nothing. */
  strayBytes: number
  readonly resets: Budget
  /** Streams to be reset when the budget allows it. */
  readonly deferredResets: Exchange[]
}

/** Until the peer says how many requests it takes, no more than what it should at least allow (RFC 9113 §6.5.2). */
const presumedMaxConcurrent = 100

const ringSizeFor = (maxInFlight: number): number => 2 ** Math.ceil(Math.log2(maxInFlight * 2))

/** Large enough for every answer's window at once, so that slow readers cannot hold up the others. */
export const connectionWindow = (limits: H2Limits): number =>
  Math.min(
    largestWindowBytes,
    Math.max(defaultWindowBytes + 1, limits.streamWindowBytes * limits.maxInFlight),
  )

/** The client's side of the preface, with our settings (RFC 9113 §3.4). */
const prefaceOf = (limits: H2Limits): string =>
  connectionPreface +
  settingsFrame([
    // No table, so a block can be decoded, or skipped, without what came before it.
    [setting.headerTableSize, 0],
    [setting.enablePush, 0],
    [setting.initialWindowSize, limits.streamWindowBytes],
    [setting.maxHeaderListSize, answerLimits.maxHeaderListBytes],
  ]) +
  windowUpdateFrame(0, connectionWindow(limits) - defaultWindowBytes)

export const newConnection = (
  socket: Duplex,
  limits: H2Limits,
  decoder: AnswerDecoder,
  events: ConnectionEvents,
  nowMs: number,
): Connection => {
  const ringSize = ringSizeFor(limits.maxInFlight)
  return {
    socket,
    limits,
    decoder,
    events,
    state: 'open',
    nowMs,
    out: prefaceOf(limits),
    parts: [],
    partsBytes: 0,
    flushScheduled: false,
    blocked: false,
    flush: () => {},
    sending: [],
    ring: Array.from<Exchange | undefined>({ length: ringSize }),
    ringMask: ringSize - 1,
    lastIds: new Uint32Array(ringSize),
    resetIds: new Uint32Array(ringSize),
    nextStreamId: 1,
    flushedStreamId: 0,
    inFlight: 0,
    requestsLeft: limits.maxRequestsPerConnection,
    goawayStreamId: largestWindowBytes,
    settingsReceived: false,
    settingsAcknowledged: false,
    peerMaxConcurrent: presumedMaxConcurrent,
    peerInitialWindow: defaultWindowBytes,
    tableUpdateDue: true,
    sendWindow: defaultWindowBytes,
    receiveWindow: connectionWindow(limits),
    uncredited: 0,
    partialBlock: undefined,
    openedMs: nowMs,
    receivedMs: nowMs,
    pingSentMs: 0,
    idleSinceMs: nowMs,
    proved: false,
    strayBytes: 0,
    overhead: budget(limits.overheadBurst, limits.overheadPerSecond),
    resets: budget(limits.resetBurst, limits.resetsPerSecond),
    deferredResets: [],
  }
}
