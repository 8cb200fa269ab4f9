import { dirname } from 'node:path'
import type { AuditSink } from '#contract/audit-event'
import type { Clock, RandomBytes } from '#contract/clock'
import { inSlices } from '#contract/in-slices'
import type { Inspect } from '#contract/inspection'
import type { PolicyEngine } from '#contract/policy'
import type { Quarantine } from '#contract/quarantine'
import type { Quota, QuotaHeaders } from '#contract/quota'
import type { Result } from '#contract/problem'
import { trustDomainOf, type SpiffeId, type TrustDomain } from '#contract/spiffe-id'
import type { Step } from '#contract/step'
import type { Log, Meter } from '#contract/telemetry'
import type { GatewayConfig, Route, Upstream } from '#config/schema'
import { networks } from '#http/networks'
import { rawGate, strictGate } from '#http/raw-gate'
import { bearerVerifier } from '#identity/bearer'
import { trustedIssuers, type TrustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import type { FederatedBundles } from '#identity/federation/federated-bundles'
import { federatedSvids } from '#identity/federation/federated-svids'
import { svidTowards } from '#identity/federation/svid-towards'
import { identityMapping } from '#identity/mapping'
import type { OwnSvid } from '#identity/svid/svid'
import type { LegacyIdentities } from '../legacy-identities.ts'
import type { MintCache } from '../mint-cache.ts'
import type { Hand } from '../shelf.ts'
import { negotiatedClient } from '../upstream/negotiated-client.ts'
import type { ResolveName } from '../upstream/resolve-names.ts'
import type { MakeClients } from '../upstream/target.ts'
import { undiciClient } from '../upstream/undici-client.ts'
import { upstreamGroup, type UpstreamGroup } from '../upstream/upstream-group.ts'
import type { CompiledRoute, LimitKey } from './compiled-route.ts'
import { compileCors } from './cors.ts'
import { routeTable } from './find-route.ts'
import type { IngressParts } from './parts.ts'
import type { HolderParts } from './token-holder.ts'

type LimitOptions = NonNullable<Route['limits']['caller']>

/** What the gateway is given from outside of it: plugins, and what outlives a configuration. */
export type IngressPorts = {
  readonly audit: AuditSink
  readonly load: () => Result<void>
  readonly meter: Meter
  readonly log: Log
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly uptimeMs: () => number
  /** Names this gateway in Via, so that a request that runs in a circle is known. */
  readonly viaName: string
  readonly ownSvid: OwnSvid
  readonly quarantine: Pick<Quarantine, 'arriving'>
  readonly mints: MintCache
  readonly legacy: LegacyIdentities
  readonly holder: HolderParts
  /** Changes when one of these files does; folders and patterns stand for what is in them. */
  readonly stampOf: (paths: readonly string[]) => string
  /** By which names of endpoints are looked up. */
  readonly resolveName: ResolveName
  readonly openPolicy: (options: GatewayConfig['policy']) => PolicyEngine
  /** @param of A name that is the same for the same limit after a reload. */
  readonly limit: (limit: Quota['name'], of: string, options: LimitOptions) => Step<LimitKey, Quota>
  /** The firewall with its rules loaded; gives what each route asks, undefined where it is off. */
  readonly openFirewall: (
    config: GatewayConfig,
  ) => Promise<(route: Pick<Route, 'waf'>) => Inspect | undefined>
  readonly quotaHeaders: QuotaHeaders
}

/** The parts of the way in, and what an operator asks about them. */
export type BuiltIngress = {
  readonly parts: IngressParts
  readonly upstreams: ReadonlyMap<string, UpstreamGroup>
  readonly issuers: TrustedIssuers
}

/** Makes of a configuration all that the way in needs. What did not change since the last one is taken over. */
export const buildIngress = async (
  config: GatewayConfig,
  ports: IngressPorts,
  hand: Hand,
  federated: FederatedBundles,
): Promise<BuiltIngress> => {
  const upstreams = new Map(
    Object.entries(config.upstreams).map(([name, upstream]) => [
      name,
      takeUpstream(name, upstream, config, ports, hand, federated),
    ]),
  )
  const issuers = trustedIssuers({
    ...ports,
    issuers: config.issuers,
    plainHttpIssuers: config.unsafe.plainHttpIssuers,
    federated,
    takeKeys: (madeFrom, make) => hand.take('issuer keys', madeFrom, make, (keys) => keys.close()),
    takeIntrospector: (madeFrom, make) =>
      hand.take('introspector', madeFrom, make, (one) => one.close()),
  })
  const { bundleFile, dataFile } = config.policy
  const policyFiles = ports.stampOf([bundleFile, ...(dataFile ? [dataFile] : [])])
  const policy = hand.take('policy', [config.policy, policyFiles], () =>
    ports.openPolicy(config.policy),
  )
  const firewall = await hand.take(
    'firewall',
    [config.waf, config.routes.map(({ waf }) => waf), ports.stampOf(ruleFiles(config))],
    () => ports.openFirewall(config),
  )
  await issuers.start()
  const keyFiles = Object.values(config.issuers).flatMap(({ caFile }) => caFile ?? [])
  const verifyJwt = hand.take(
    'verifier',
    [config.issuers, config.caches.maxTokens, ports.stampOf(keyFiles), ...ofBundles(config)],
    () =>
      tokenVerifier({
        issuers: issuers.byIss,
        maxTokens: config.caches.maxTokens,
        meter: ports.meter,
      }),
  )
  const routes: CompiledRoute[] = []
  const table = routeTable()
  await inSlices(config.routes, (route) => {
    const compiled = compileRoute(route, upstreams, firewall, ports)
    routes.push(compiled)
    table.add(compiled)
  })
  const ingress = config.listeners.ingress
  const parts: IngressParts = {
    audit: ports.audit,
    load: ports.load,
    gate: rawGate({
      ...strictGate,
      unusualNames: ingress.unusualHeaderNames,
      path: { mode: ingress.paths, semicolon: 'refuse' },
      maxHeaderPairs: ingress.limits.maxHeaderPairs,
      maxTargetBytes: ingress.limits.maxTargetBytes,
      allowWebSocket: config.routes.some(({ websocket }) => websocket !== undefined),
    }),
    origin: { trustedProxies: networks(ingress.trustedProxies), viaName: ports.viaName },
    addressLimit: config.limits.address && ports.limit('address', 'all', config.limits.address),
    routes,
    findRoute: table.find,
    quarantine: ports.quarantine.arriving,
    certifiedStrangers: strangersOf(config, federated),
    verify: bearerVerifier(issuers, verifyJwt),
    holder: ports.holder,
    mapping: identityMapping(config.identities, config.trustDomain),
    policy,
    trustDomain: config.trustDomain,
    issuers: new Map(Object.entries(config.issuers)),
    mints: ports.mints,
    legacy: ports.legacy,
    quotaHeaders: ports.quotaHeaders,
  }
  return { parts, upstreams, issuers }
}

const strangersOf = (
  { listeners }: GatewayConfig,
  federated: FederatedBundles,
): IngressParts['certifiedStrangers'] => {
  const named = listeners.ingress.tls.clientCertificates?.trustDomains ?? []
  const trustDomains = new Set(named as TrustDomain[]) // the schema has checked their grammar
  return { trustDomains, svidOf: federatedSvids(federated, trustDomains) }
}

/** What the keys of other trust domains come from. */
const ofBundles = ({ issuers, federation, trustDomain }: GatewayConfig): readonly unknown[] =>
  Object.values(issuers).some(({ platform }) => platform === 'spiffe')
    ? [federation, trustDomain]
    : []

/** A rule file may include others beside it. */
export const ruleFiles = ({ waf: { crs, ruleFiles } }: GatewayConfig): readonly string[] => [
  ...(crs ? [crs] : []),
  ...ruleFiles.flatMap((file) => [file, `${dirname(file)}/*`]),
]

const takeUpstream = (
  name: string,
  config: Upstream,
  { trustDomain, federation }: GatewayConfig,
  ports: IngressPorts,
  hand: Hand,
  federated: FederatedBundles,
) => {
  const expected = config.spiffeId as SpiffeId // the schema has checked its grammar
  const domain = trustDomainOf(expected)
  const isOurs = domain === trustDomain
  const { protocol, maxConnections, connectTimeoutMs } = config
  const limits = { expected, maxConnections, connectTimeoutMs }
  const makeClients: MakeClients = {
    forRequests: (place, svid) => negotiatedClient({ ...place, ...limits, svid, protocol }),
    forUpgrades: (place, svid) => undiciClient({ ...place, ...limits, svid }),
  }
  const make = () =>
    upstreamGroup(name, config, expected, {
      ...ports,
      ownSvid: isOurs ? ports.ownSvid : svidTowards(domain, ports.ownSvid, federated),
      makeClients,
      resolve: ports.resolveName,
    })
  const madeFrom = [name, config, ...(isOurs ? [] : [federation])]
  return hand.take('upstream', madeFrom, make, (group) => void group.close())
}

const compileRoute = (
  config: Route,
  upstreams: ReadonlyMap<string, UpstreamGroup>,
  firewall: (route: Route) => Inspect | undefined,
  { limit }: IngressPorts,
): CompiledRoute => {
  const upstream = upstreams.get(config.upstream)
  if (!upstream)
    throw new Error(`route ${config.id} names an upstream that is not there: ${config.upstream}`)
  const { caller, route } = config.limits
  return {
    id: config.id,
    team: config.team,
    config,
    issuers: config.authenticate === 'none' ? undefined : new Set(config.authenticate.issuers),
    legacy:
      config.authenticate === 'none' || config.authenticate.legacy === undefined
        ? undefined
        : new Set(config.authenticate.legacy),
    mustBeBound: config.authenticate !== 'none' && config.authenticate.bound === 'required',
    upstream,
    audience: config.identity.audience ?? upstream.spiffeId,
    cors: compileCors(config),
    inspect: firewall(config),
    callerLimit: caller && limit('caller', config.id, caller),
    routeLimit: route && limit('route', config.id, route),
  }
}
