import httpProxy from '@fastify/http-proxy'
import type { FastifyInstance } from '#http/listen'
import { sendProblem } from '#http/listen'
import { operatorRoutes, type OperatorParts } from '#http/operator-routes'
import { isOwnHost } from '#http/own-host'
import type { ExchangeConsole } from './exchange-console.ts'

export type AdminParts = OperatorParts & {
  /** The host that the listener was told to listen on. */
  readonly host: string
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

  operatorRoutes(app, parts)
  app.register(httpProxy, parts.exchange)
}
