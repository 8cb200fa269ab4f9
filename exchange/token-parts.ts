import type { Clock, RandomBytes } from '#contract/clock'
import type { PolicyEngine } from '#contract/policy'
import type { SpendOnce } from '#contract/replay'
import type { ExchangeConfig } from '#config/schema'
import type { VerifyToken } from '#identity/jwt/verified-token'
import { failureBudget } from '#identity/credentials/failure-budget'
import { identityMapping } from '#identity/mapping'
import { awsCallers, awsIssuerName } from './aws/callers.ts'
import type { AuthoritySnapshot } from './ca/snapshot.ts'
import { clientRegistry } from './clients/registry.ts'
import type { Parties } from './config-parts.ts'
import type { Locations, Offered } from './discovery.ts'
import type { IssuedRegister } from './issued/register.ts'
import { legacyRegistry } from './legacy/registry.ts'
import type { TakeOne } from './token/limit.ts'
import { grantsOf } from './token/grants.ts'
import { ownTokenVerifier } from './token/own-token.ts'
import { checkToken, type MapIdentity } from './token/party.ts'

/** What decides and remembers, chosen by `main.ts`. */
export type DecidingPorts = {
  readonly policy: PolicyEngine | undefined
  readonly limits: { readonly client: TakeOne | undefined; readonly subject: TakeOne | undefined }
  readonly spendOnce: SpendOnce
}

export type TokenPartsOptions = DecidingPorts & {
  readonly config: ExchangeConfig
  readonly parties: Parties
  readonly locations: Locations
  readonly authority: () => AuthoritySnapshot
  readonly verify: VerifyToken
  readonly register: IssuedRegister
  readonly randomBytes: RandomBytes
  readonly clock: Clock
}

/** Makes of a configuration all that decides who gets which credential. */
export const tokenParts = async (options: TokenPartsOptions) => {
  const { config, parties, locations, verify, authority, register, spendOnce } = options
  const { issuer, selfService, lifetimes } = config
  const { trustDomain, gateways, reserved } = parties
  const clients = await clientRegistry(config.clients)
  const registry = await legacyRegistry(config.legacy)
  const issuers = new Set(Object.keys(config.issuers))
  const aws = config.aws && awsCallers(config.aws, issuer)
  const selfServiceIssuers = new Set([
    ...selfService.issuers,
    ...(aws === undefined ? [] : [awsIssuerName]),
  ])
  const findGrant = grantsOf(config.grants)
  const verifyOwn = ownTokenVerifier({
    issuer,
    trustDomain,
    authority,
    isRevoked: register.isRevoked,
  })
  return {
    issuer,
    randomBytes: options.randomBytes,
    authority,
    register,
    spendOnce,
    verify,
    verifyOwn,
    limits: options.limits,
    authentication: {
      issuer,
      spendOnce,
      gateways,
      clients,
      selfService: selfServiceIssuers.size > 0,
    },
    checkToken: checkToken(verify, issuers, verifyOwn, namesByIss(config)),
    mapIdentity: identityMapping(config.identities, trustDomain, reserved),
    mapHolder: holderMapping(config, parties),
    policy: {
      issuer,
      trustDomain,
      reserved,
      selfServiceIssuers,
      audiences: new Set(config.audiences),
      lifetimeSeconds: lifetimes.jwtSvidSeconds,
      txnLifetimeSeconds: lifetimes.txnTokenSeconds,
      maxActors: config.maxActors,
      findGrant,
    },
    decide: {
      engine: options.policy,
      requires: config.policy?.requires ?? {},
      trustDomain,
      issuers: config.issuers,
    },
    issuers,
    selfServiceIssuers,
    checkAwsCaller: aws?.check,
    closeAws: () => aws?.close(),
    oneTimeIssuers: new Set(selfService.oneTimeIssuers),
    findGrant,
    tokenEndpoints: [locations.tokenEndpoint],
    legacy:
      registry.size === 0
        ? undefined
        : {
            registry,
            budget: failureBudget(config.legacy, options.clock, options.randomBytes),
            spendOnce,
            lifetimeSeconds: lifetimes.legacyTokenSeconds,
            certificateLifetimeMs: lifetimes.legacyX509SvidSeconds * 1000,
            atGateways: new Set(config.legacy.atGateways),
            authority: new URL(locations.tokenEndpoint).host,
            path: new URL(locations.tokenEndpoint).pathname,
            svidPath: `${locations.prefix}/svid/x509`,
          },
    offered: offeredBy(config, clients.methods),
  }
}

/**
 * Who becomes whom for a certificate. A gateway may be named, by a rule without a claim in its ID: so one in Kubernetes is
 * known by its service account. By chance nobody becomes one.
 */
const holderMapping = (
  { identities, trustDomain }: ExchangeConfig,
  { spiffeId, gateways }: Parties,
): MapIdentity => {
  const named = identities.filter((rule) => !rule.spiffeId.includes('{'))
  const onPurpose = new Set(named.map(({ name }) => name))
  const map = identityMapping(identities, trustDomain, new Set([spiffeId]))
  const careful = identityMapping(identities, trustDomain, new Set([spiffeId, ...gateways]))
  return (token) => {
    const mapped = map(token)
    return mapped.ok && onPurpose.has(mapped.value.rule) ? mapped : careful(token)
  }
}

const namesByIss = ({ issuers }: ExchangeConfig): ReadonlyMap<string, string> =>
  new Map(Object.entries(issuers).map(([name, { issuer }]) => [issuer, name]))

const offeredBy = (
  { aws, clients, grants, legacy, selfService }: ExchangeConfig,
  clientMethods: Offered['clientMethods'],
): Offered => {
  const proofs = Object.values(clients).map(({ authentication }) => authentication)
  const algorithms = proofs.flatMap((proof) =>
    proof.method === 'private_key_jwt' ? proof.algorithms : [],
  )
  return {
    clientMethods,
    assertionAlgorithms: [...new Set(algorithms)],
    selfService: selfService.issuers.length > 0 || aws !== undefined,
    legacy: Object.keys(legacy.callers).length > 0,
    scopes: [...new Set(grants.flatMap(({ scopes }) => scopes))],
  }
}
