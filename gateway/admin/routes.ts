import type { FastifyInstance } from '#http/listen'
import { sendProblem } from '#http/listen'
import { operatorRoutes, type OperatorParts } from '#http/operator-routes'
import { objectionToPage } from '#http/own-page'
import { showExchange, type ExchangeConsole } from './exchange-console.ts'
import { quarantineRoutes, type QuarantineRoutesParts } from './quarantine-routes.ts'

export type AdminParts = OperatorParts &
  QuarantineRoutesParts & {
    /** The host that the listener was told to listen on. */
    readonly host: string
    readonly exchange: ExchangeConsole
  }

/**
 * What operators ask of the gateway: `GET /healthz`, `/readyz` with reasons, `/metrics`, `/status`; `/exchange/*`, which shows
 * what the exchange says of itself; and who is cut off, which alone they can change here.
 *
 * It is on loopback, where every browser of the machine can reach it, too: so a request must name this listener as its
 * host, come from no other page, and bring JSON, which a page of elsewhere cannot send without asking first.
 */
export const adminRoutes = (app: FastifyInstance, parts: AdminParts): void => {
  app.addHook('onRequest', async (request, reply) => {
    const problem = objectionToPage(request.headers, parts.host)
    return problem === undefined ? undefined : sendProblem(reply, problem)
  })

  app.removeContentTypeParser('text/plain') // which Fastify takes by itself, and a form of any page can send
  operatorRoutes(app, parts)
  quarantineRoutes(app, parts)
  showExchange(app, parts.exchange)
}
