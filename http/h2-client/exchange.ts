import type { UpstreamFault, UpstreamHandler, UpstreamRequest } from '../upstream-client.ts'
import type { Connection } from './connection.ts'
import { creditConnection } from './flow-control.ts'
import type { HeldData } from './held-data.ts'
import type { RequestHead } from './request-head.ts'
import type { Upload } from './upload.ts'

/**
 * One request and what has become of it. Made anew for each request, so nothing of an earlier one can be in it; while it
 * is on a connection it stands in a slot of that connection's ring.
 *
 * - `queued`: waits for a connection;
 * - `open`: on a connection;
 * - `received`: its answer is whole and off the connection, but the handler has paused;
 * - `done`: its handler has been told the end.
 */
export type Exchange = {
  readonly request: UpstreamRequest
  readonly head: RequestHead
  readonly handler: UpstreamHandler
  state: 'queued' | 'open' | 'received' | 'done'
  connection: Connection | undefined
  streamId: number
  /** Its handler has been told the end, but the stream is not reset yet: what arrives is thrown away. */
  abandoned: boolean
  /** How often it was put on a connection. */
  attempts: number
  /** By `performance.now()`: when the peer last gave or took something, or we last had nothing for it. */
  progressMs: number

  headReceived: boolean
  informational: number
  /** Octets of body still to come by Content-Length; -1 if it said nothing. */
  expectedBytes: number
  /** What the peer may still send of the body. */
  receiveWindow: number
  /** What the handler took but the peer was not told of. */
  uncredited: number
  paused: boolean
  held: HeldData | undefined
  trailers: readonly string[] | undefined

  /** What we may still send of the body. */
  sendWindow: number
  upload: Upload | undefined
}

export const newExchange = (
  request: UpstreamRequest,
  head: RequestHead,
  handler: UpstreamHandler,
  nowMs: number,
): Exchange => ({
  request,
  head,
  handler,
  state: 'queued',
  connection: undefined,
  streamId: 0,
  abandoned: false,
  attempts: 0,
  progressMs: nowMs,
  headReceived: false,
  informational: 0,
  expectedBytes: -1,
  receiveWindow: 0,
  uncredited: 0,
  paused: false,
  held: undefined,
  trailers: undefined,
  sendWindow: 0,
  upload: undefined,
})

export const noTrailers: readonly string[] = Object.freeze([])

/** Whether the same request can be sent again, as far as its body goes. */
export const isUntouched = (exchange: Exchange): boolean =>
  exchange.upload === undefined || !exchange.upload.sourceWasRead

/** Tells the handler that there will be no whole answer. Does nothing once it was told an end. */
export const failExchange = (exchange: Exchange, fault: UpstreamFault): void => {
  if (exchange.state === 'done') return
  exchange.state = 'done'
  const { connection, held } = exchange
  exchange.held = undefined
  if (connection !== undefined && held !== undefined) creditConnection(connection, held.bytes())
  exchange.handler.onError(fault)
}

/** Tells the handler that the answer is whole. */
export const endExchange = (exchange: Exchange, trailers: readonly string[]): void => {
  if (exchange.state === 'done') return
  exchange.state = 'done'
  exchange.handler.onEnd(trailers)
}
