/** The whole configuration: one schema is type, check, default and reference page. */
export { GatewayConfig } from './schema/gateway.ts'
export type { ExchangeIdentity, OwnIdentity } from './schema/own-identity.ts'
export type { Federation } from './schema/federation.ts'
export { ExchangeConfig } from './schema/exchange.ts'
export { grantTokens, type Client, type Clients, type Grant } from './schema/clients.ts'
export type { AwsCaller } from './schema/aws.ts'
export type { LegacyCaller } from './schema/legacy.ts'
export { platforms, signatureAlgorithms, type Issuer, type Issuers } from './schema/issuers.ts'
export type { Identities, IdentityRule } from './schema/identities.ts'
export type {
  AdminListener,
  EgressListener,
  Certificate,
  IngressListener,
  ListenerLimits,
} from './schema/listeners.ts'
export type { Egress } from './schema/egress.ts'
export type { EgressCredential } from './schema/egress-credentials.ts'
export type { PathMatch, Route, RouteMatch } from './schema/routes.ts'
export type { Upstream } from './schema/upstreams.ts'
