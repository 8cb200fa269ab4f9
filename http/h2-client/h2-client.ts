import type { UpstreamClient, UpstreamFault } from '../upstream-client.ts'
import { answerDecoder } from './answer-decoder.ts'
import { controlOf } from './control.ts'
import { failExchange, newExchange } from './exchange.ts'
import { answerLimits, defaultLimits, type H2ClientOptions } from './options.ts'
import { newPool } from './pool.ts'
import { requestEncoder } from './request-head.ts'

export type { Connect, Connected, H2ClientOptions, H2Limits } from './options.ts'
export { type AnswerDecoder, answerDecoder } from './answer-decoder.ts'
export { answerLimits, defaultLimits } from './options.ts'

/**
 * A head that is longer, encoded, travels on connections with others of its kind alone. A server may end the whole connection
 * over one that exceeds its limit (nginx does, over a field of 14 KB), and one caller's headers must not cost others theirs.
 */
const longHeadBytes = 4096

/**
 * Requests over HTTP/2 to one peer, whose identity `connect` proves before anything is written to it. All requests of one
 * turn of the event loop leave in one write. A request that the peer did not process (GOAWAY, REFUSED_STREAM, a connection
 * lost before the write) and whose body was not read is sent once more, on another connection where there is one.
 *
 * @see RFC 9113, RFC 7541
 */
export const h2Client = (options: H2ClientOptions): UpstreamClient => {
  const limits = { ...defaultLimits, ...options.limits }
  const encode = requestEncoder(options.scheme ?? 'https')
  const decoder = options.decoder ?? answerDecoder(answerLimits)
  const usual = newPool(options.connect, limits, decoder)
  const withLongHeads = newPool(options.connect, limits, decoder)

  return {
    dispatch: (request, handler) => {
      const head = encode(request) // throws for what cannot be sent, before anyone is told of it
      const nowMs = performance.now()
      const exchange = newExchange(request, head, handler, nowMs)
      handler.onStart(controlOf(exchange))
      if (exchange.state !== 'queued') return
      const pool = head.block.length > longHeadBytes ? withLongHeads : usual
      const fault: UpstreamFault | undefined = pool.place(exchange, nowMs)
      // Not at once: no function of a handler is called before this has returned, save onStart.
      if (fault !== undefined) queueMicrotask(() => failExchange(exchange, fault))
    },
    close: () => Promise.all([usual.close(), withLongHeads.close()]).then(() => {}),
    destroy: (cause) => {
      usual.destroy(cause)
      withLongHeads.destroy(cause)
    },
    stats: () => {
      const [one, other] = [usual.stats(), withLongHeads.stats()]
      return {
        open: one.open + other.open,
        connecting: one.connecting + other.connecting,
        inFlight: one.inFlight + other.inFlight,
        queued: one.queued + other.queued,
      }
    },
  }
}
