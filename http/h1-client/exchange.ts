import type { UpstreamFault, UpstreamHandler, UpstreamRequest } from '../upstream-client.ts'
import type { RequestHead } from './request-head.ts'

/** One request and what has become of it: it waits, has a connection to itself, or its handler has been told the end. */
export type Exchange = {
  readonly request: UpstreamRequest
  readonly head: RequestHead
  readonly handler: UpstreamHandler
  state: 'queued' | 'open' | 'done'
  /** By `performance.now()`: when the peer last gave or took something, or we last had nothing for it. */
  progressMs: number
  headReceived: boolean
  paused: boolean
}

/** Tells the handler that there will be no whole answer. Does nothing once it was told an end. */
export const failExchange = (exchange: Exchange, fault: UpstreamFault): void => {
  if (exchange.state === 'done') return
  exchange.state = 'done'
  exchange.handler.onError(fault)
}
