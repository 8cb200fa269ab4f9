import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { Pool } from 'undici'
import { sendProblem, type FastifyReply } from '#http/listen'

export type ExchangeConsole = FastifyHttpProxyOptions

/**
 * Shows `/exchange/*` of the exchange's admin through our own admin listener, so that operators have one place to look.
 * The exchange lets a gateway read there, no more.
 *
 * @param pool To the exchange, over mTLS. @fastify/http-proxy does not verify certificates unless it is given a pool.
 */
export const exchangeConsole = (url: string, pool: Pool): ExchangeConsole => ({
  upstream: url,
  prefix: '/exchange',
  rewritePrefix: '/admin',
  httpMethods: ['GET'],
  // Ours is undici 8, its types know 7; it asks of a pool no more than `request`.
  undici: pool as never,
  retryMethods: [], // its default sends a GET that is answered 503 eleven times
  replyOptions: {
    onError: (reply, { error }) => {
      void sendProblem(reply as FastifyReply, { tag: 'upstream-unreachable', cause: error })
    },
  },
})
