import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from '#http/listen'
import { sendProblem } from '#http/listen'
import { isOwnHost } from '#http/own-host'
import type { ExchangeConsole } from './exchange-console.ts'

export type AdminParts = {
  /** The host that the listener was told to listen on. */
  readonly host: string
  /** Why it should get no traffic now; empty when it is ready. */
  readonly unready: () => readonly string[]
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  readonly status: () => object
  readonly exchange: ExchangeConsole
}

/**
 * What operators ask of the gateway: `GET /healthz`, `/readyz` with reasons, `/metrics`, `/status`, and `/exchange/*`, which
 * shows what the exchange says of itself.
 *
 * It is on loopback, where every browser of the machine can reach it, too: so a request must name this listener as its
 * host (DNS rebinding), and nothing here changes anything.
 */
export const adminRoutes = (app: FastifyInstance, parts: AdminParts): void => {
  app.addHook('onRequest', async (request, reply) =>
    isOwnHost(request.headers.host, parts.host)
      ? undefined
      : sendProblem(reply, { tag: 'host-misdirected' }),
  )

  app.get('/healthz', async () => ({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const reasons = parts.unready()
    return reply
      .code(reasons.length === 0 ? 200 : 503)
      .send({ ready: reasons.length === 0, reasons })
  })
  app.get('/metrics', async (_request, reply) => {
    const { contentType, body } = await parts.metrics()
    return reply.type(contentType).send(body)
  })
  app.get('/status', async (_request, reply) =>
    reply.header('cache-control', 'no-store').send(parts.status()),
  )
  app.register(httpProxy, parts.exchange)
}
