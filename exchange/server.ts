import type { FastifyInstance } from '#http/listen'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import type { Locations } from './discovery.ts'
import { publishedRoutes } from './published-routes.ts'
import { x509Route, type X509RouteParts } from './svid/route.ts'
import { tokenRoute, type TokenRouteParts } from './token/route.ts'

export type ExchangeServerParts = Omit<TokenRouteParts, 'tokenKey'> &
  Omit<X509RouteParts, 'authority'> & {
    readonly authority: () => AuthoritySnapshot
    readonly locations: Locations
  }

/**
 * Everything that the exchange serves to gateways and callers: `POST /token`, `POST /svid/x509`, `GET /keys`,
 * `GET /bundle`, the two well-known documents and `GET /healthz`.
 */
export const exchangeRoutes = (app: FastifyInstance, parts: ExchangeServerParts): void => {
  const { authority, locations } = parts
  app.get('/healthz', async () => ({ status: 'ok' }))
  publishedRoutes(app, authority, locations)
  const token = tokenRoute({ ...parts, tokenKey: () => authority().tokenKey })
  const x509 = x509Route(parts)
  for (const prefix of new Set(['', locations.prefix])) {
    app.register(token, { prefix })
    app.register(x509, { prefix })
  }
}
