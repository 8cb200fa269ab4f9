import type { FastifyInstance } from '#http/listen'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import type { Locations, Offered } from './discovery.ts'
import { inspectionRoute, type InspectionRouteParts } from './inspection/route.ts'
import { publishedRoutes } from './published-routes.ts'
import { x509Route, type X509RouteParts } from './svid/route.ts'
import { tokenBatchRoute } from './token/batch.ts'
import { introspectRoute } from './token/introspect.ts'
import { revokeRoute, type RevokeParts } from './token/revoke.ts'
import { tokenRoute, type TokenRouteParts } from './token/route.ts'

export type ExchangeServerParts = Omit<TokenRouteParts, 'tokenKey' | 'register'> &
  Omit<X509RouteParts, 'authority'> &
  RevokeParts & {
    readonly authority: () => AuthoritySnapshot
    readonly locations: Locations
    readonly offered: Offered
    /** Absent where no gateway looks into TLS. */
    readonly inspection: Pick<InspectionRouteParts, 'hosts' | 'lifetimeMs'> | undefined
  }

/**
 * Everything that the exchange serves to gateways and callers: `POST /token`, `/token/batch`, `/introspect`, `/revoke` and `/svid/x509`,
 * `GET /keys`, `GET /bundle`, the two well-known documents and `GET /healthz`; where hosts are inspected
 * `POST /inspection/certificate` and `GET /inspection/ca.pem`.
 */
export const exchangeRoutes = (app: FastifyInstance, parts: ExchangeServerParts): void => {
  const { authority, locations, offered, inspection } = parts
  app.get('/healthz', async () => ({ status: 'ok' }))
  publishedRoutes(app, authority, locations, offered, inspection !== undefined)
  const minting = { ...parts, tokenKey: () => authority().tokenKey }
  const endpoints = [
    tokenRoute(minting),
    tokenBatchRoute(minting),
    introspectRoute(parts),
    revokeRoute(parts),
    x509Route(parts),
    ...(inspection ? [inspectionRoute({ ...parts, ...inspection })] : []),
  ]
  for (const prefix of new Set(['', locations.prefix]))
    for (const endpoint of endpoints) app.register(endpoint, { prefix })
}
