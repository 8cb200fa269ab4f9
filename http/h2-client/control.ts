import type { UpstreamControl } from '../upstream-client.ts'
import { endExchange, type Exchange, failExchange, noTrailers } from './exchange.ts'
import { creditExchange } from './flow-control.ts'
import { errorCode } from './protocol.ts'
import { endStream } from './streams.ts'

/** What the asker may do with its exchange. */
export const controlOf = (exchange: Exchange): UpstreamControl => ({
  abort: (cause) => {
    const fault = { kind: 'aborted', cause, unsent: exchange.state === 'queued' } as const
    if (exchange.state === 'open') endStream(exchange, errorCode.cancel, fault)
    else failExchange(exchange, fault)
  },
  pause: () => {
    exchange.paused = true
  },
  resume: () => resume(exchange),
})

/** Hands on what is held, until the handler pauses again. */
const resume = (exchange: Exchange): void => {
  exchange.paused = false
  if (exchange.connection !== undefined) exchange.progressMs = exchange.connection.nowMs
  while (!exchange.paused && exchange.held !== undefined) {
    const chunk = exchange.held.take()
    const isWhole = exchange.held.bytes() === 0
    if (isWhole) exchange.held = undefined
    if (chunk === undefined) break
    creditExchange(exchange, chunk.length)
    exchange.handler.onData(
      chunk,
      isWhole && exchange.state === 'received' && exchange.trailers === noTrailers,
    )
  }
  if (!exchange.paused && exchange.state === 'received')
    endExchange(exchange, exchange.trailers ?? noTrailers)
}
