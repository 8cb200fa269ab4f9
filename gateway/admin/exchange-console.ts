import type { FastifyHttpProxyOptions } from '@fastify/http-proxy'
import type { Pool } from 'undici'
import { innerApp, sendProblem, type FastifyInstance, type FastifyReply } from '#http/listen'

export type ExchangeConsole = FastifyHttpProxyOptions

const prefix = '/exchange'

/**
 * Shows `/exchange/*` of the exchange's admin through our own admin listener, so that operators have one place to look.
 * The exchange lets a gateway read there, no more.
 *
 * @param pool To the exchange, over mTLS. @fastify/http-proxy does not verify certificates unless it is given a pool.
 */
export const exchangeConsole = (url: string, pool: Pool): ExchangeConsole => ({
  upstream: url,
  prefix,
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

/**
 * Puts it into an app. The proxy, with a hundred files of its own, is loaded when someone looks for the first time: few
 * ever do, and every start would wait for it.
 */
export const showExchange = (app: FastifyInstance, options: ExchangeConsole): void => {
  let opened: Promise<FastifyInstance> | undefined
  for (const path of [prefix, `${prefix}/*`])
    app.get(path, async (request, reply) => {
      opened ??= openProxy(options)
      const proxy = await opened
      reply.hijack()
      proxy.routing(request.raw, reply.raw)
    })
  app.addHook('onClose', async () => (await opened)?.close())
}

const openProxy = async (options: ExchangeConsole): Promise<FastifyInstance> => {
  const { default: httpProxy } = await import('@fastify/http-proxy')
  const proxy = innerApp()
  proxy.register(httpProxy, options)
  await proxy.ready()
  return proxy
}
