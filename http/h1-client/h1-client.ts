import type { Connect } from '../h2-client/h2-client.ts'
import type { UpstreamClient, UpstreamFault } from '../upstream-client.ts'
import { failExchange, type Exchange } from './exchange.ts'
import { newPool, type PoolLimits } from './pool.ts'
import { requestWriter } from './request-head.ts'

export type H1ClientOptions = {
  readonly connect: Connect
  readonly limits: Partial<PoolLimits>
}

const defaultLimits: PoolLimits = {
  maxConnections: 64,
  maxQueued: 8192,
  connectTimeoutMs: 5_000,
  idleConnectionMs: 30_000,
}

const withoutHttp2: UpstreamFault = {
  kind: 'no-http2',
  cause: new Error('only HTTP/1.1 is spoken there'),
  unsent: true,
}

/**
 * Requests over HTTP/1.1 to one peer, whose identity `connect` proves before anything is written to it: one request at a
 * time on a connection, answers read strictly. An upgrade is not for this client.
 *
 * @see RFC 9112
 */
export const h1Client = ({ connect, limits }: H1ClientOptions): UpstreamClient => {
  const write = requestWriter()
  const pool = newPool(connect, { ...defaultLimits, ...limits })
  return {
    dispatch: (request, handler) => {
      const head = write(request) // throws for what cannot be sent, before anyone is told of it
      const nowMs = performance.now()
      const exchange: Exchange = {
        request,
        head,
        handler,
        state: 'queued',
        progressMs: nowMs,
        headReceived: false,
        paused: false,
      }
      handler.onStart({
        abort: (cause) => pool.abort(exchange, cause),
        pause: () => {
          exchange.paused = true
        },
        resume: () => {
          exchange.paused = false
          pool.resume(exchange)
        },
      })
      if (exchange.state !== 'queued') return
      const fault = request.needsHttp2 ? withoutHttp2 : pool.place(exchange, nowMs)
      // Not at once: no function of a handler is called before this has returned, save onStart.
      if (fault !== undefined) queueMicrotask(() => failExchange(exchange, fault))
    },
    close: pool.close,
    destroy: pool.destroy,
    stats: pool.stats,
  }
}
