import { hash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { SecureContext } from 'node:tls'
import type { AuditSink } from '#contract/audit-event'
import type { Clock } from '#contract/clock'
import type { EgressAllowlist } from '#contract/egress'
import type { Quarantine } from '#contract/quarantine'
import type { Inspect } from '#contract/inspection'
import type { PolicyEngine } from '#contract/policy'
import type { Result } from '#contract/problem'
import type { Quota } from '#contract/quota'
import type { Step } from '#contract/step'
import type { Meter } from '#contract/telemetry'
import type { MintedToken, MintRequest } from '#contract/token-exchange'
import type { Egress, GatewayConfig } from '#config/schema'
import { rawGate, strictGate } from '#http/raw-gate'
import type { TrustDomain } from '#contract/spiffe-id'
import type { FederatedBundles } from '#identity/federation/federated-bundles'
import { federatedSvids } from '#identity/federation/federated-svids'
import type { Bundle } from '#identity/svid/bundle'
import { ruleFiles } from '../ingress/build.ts'
import type { LimitKey } from '../ingress/compiled-route.ts'
import { toPortable } from '#contract/portable'
import type { Hand } from '../shelf.ts'
import type { Accounts } from './accounts.ts'
import { heldTokens } from './credentials/held-tokens.ts'
import { openCredentials } from './credentials/open.ts'
import { dial } from './dial.ts'
import type { LeafCache } from './inspection/leaf-cache.ts'
import type { EgressParts } from './parts.ts'
import { readBuffers } from './read-buffers.ts'
import { nameResolver } from './resolver.ts'
import { destinationRoots } from './secure.ts'

type LimitOptions = NonNullable<Egress['rules'][number]['limits']['requests']>

/** What the way out is given from outside of it. */
export type EgressPorts = {
  readonly audit: AuditSink
  readonly meter: Meter
  readonly uptimeMs: () => number
  readonly viaName: string
  /** The guard; there is no way out without it. */
  readonly openAllowlist: (
    config: Egress,
    isOwn: (address: string, port: number) => boolean,
  ) => EgressAllowlist
  /** The firewall, for the requests of a rule within inspected TLS; undefined where it is off. */
  readonly openFirewall: (
    config: GatewayConfig,
  ) => Promise<(of: Pick<Egress['rules'][number], 'waf'>) => Inspect | undefined>
  readonly openPolicy: (options: GatewayConfig['policy']) => PolicyEngine
  readonly limit: (limit: 'caller', of: string, options: LimitOptions) => Step<LimitKey, Quota>
  readonly quarantine: Pick<Quarantine, 'arriving'>
  readonly clock: Clock
  /** Asks the exchange. */
  readonly mint: (request: MintRequest) => Promise<Result<MintedToken>>
  /** Changes when one of these files does. */
  readonly stampOf: (paths: readonly string[]) => string
}

/** What outlives a configuration. */
export type EgressState = {
  readonly accounts: Accounts
  readonly bundle: () => Bundle | undefined
  readonly isOwn: (address: string, port: number) => boolean
  readonly leaves: LeafCache
}

/** Makes of a configuration all that the way out needs. What did not change since the last one is taken over. */
export const buildEgress = async (
  config: GatewayConfig & { readonly egress: Egress },
  ports: EgressPorts,
  state: EgressState,
  hand: Hand,
  bundles: FederatedBundles,
): Promise<EgressParts> => ({
  ...ofConfig(config, ports, state, hand, bundles),
  leaves: state.leaves,
  inspectedGate: rawGate({ ...strictGate, allowGetBody: true }),
  firewalls: await firewallsOf(config, ports, hand),
  policy: policyOf(config, ports, hand),
})

const ofConfig = (
  { egress, trustDomain, spiffeId }: GatewayConfig & { readonly egress: Egress },
  ports: EgressPorts,
  { accounts, bundle, isOwn }: EgressState,
  hand: Hand,
  bundles: FederatedBundles,
): Omit<EgressParts, 'leaves' | 'inspectedGate' | 'firewalls' | 'policy'> => {
  const allowlist = hand.take(
    'egress allowlist',
    [egress.deny, egress.allow, egress.rules, egress.nat64Prefixes],
    () => ports.openAllowlist(egress, isOwn),
  )
  const resolver = hand.take('resolver', egress.dns, () => nameResolver(egress.dns, ports))
  const roots = hand.take(
    'destination roots',
    [egress.destinationRoots, ports.stampOf(egress.destinationRoots.files)],
    () => rootsOf(egress.destinationRoots),
  )
  return {
    audit: ports.audit,
    gate: rawGate({ ...strictGate, allowGetBody: true, allowWebSocket: true }),
    viaName: ports.viaName,
    trustDomain,
    audiences: new Set(egress.audiences.length > 0 ? egress.audiences : [spiffeId]),
    bundle,
    federated: federatedOf(egress, bundles),
    quarantine: ports.quarantine.arriving,
    allowlist,
    requestLimits: new Map(
      egress.rules.flatMap(({ id, limits: { requests } }) =>
        requests ? [[id, ports.limit('caller', `egress ${id}`, requests)] as const] : [],
      ),
    ),
    limits: new Map(egress.rules.map(({ id, limits }) => [id, limits])),
    accounts,
    resolver,
    credentials: openCredentials(egress.credentials, {
      allowlist,
      resolver,
      destinationRoots: roots,
      connectTimeoutMs: egress.connectTimeoutMs,
      clock: ports.clock,
      mint: ports.mint,
      held: hand.take('held tokens', digestOf(egress.credentials), () => heldTokens(maxHeldTokens)),
    }),
    answers: egress.dns.answers,
    dial,
    connectTimeoutMs: egress.connectTimeoutMs,
    destinationRoots: roots,
    reads: hand.take('read buffers', 'as ever', readBuffers),
    clientHelloTimeoutMs: egress.clientHelloTimeoutMs,
    headersTimeoutMs: egress.headersTimeoutMs,
    maxBodyBytes: egress.maxBodyBytes,
  }
}

const policyOf = (
  { policy: options, trustDomain, egress }: GatewayConfig & { readonly egress: Egress },
  { openPolicy, stampOf }: EgressPorts,
  hand: Hand,
): EgressParts['policy'] => {
  if (!egress.policy) return undefined
  const own = { ...options, entrypoint: egress.policy.entrypoint }
  const files = stampOf([own.bundleFile, ...(own.dataFile ? [own.dataFile] : [])])
  return {
    engine: hand.take('egress policy', [own, files], () => openPolicy(own)),
    trustDomain,
    requires: new Map(egress.rules.map(({ id, policy: { requires } }) => [id, requires])),
  }
}

/** Secrets print alike, so what they are counts, as a digest. */
const digestOf = (credentials: Egress['credentials']): string =>
  hash('sha256', JSON.stringify(toPortable(credentials)))

/** One for each workload and rule of a token exchange, and one for each client. */
const maxHeldTokens = 10_000

/** @throws Error naming the file that cannot be used. */
const rootsOf = ({ files, publicRoots }: Egress['destinationRoots']): SecureContext =>
  destinationRoots(
    files.map((file) => readFileSync(file, 'utf8')),
    publicRoots,
  )

const firewallsOf = async (
  config: GatewayConfig & { readonly egress: Egress },
  ports: EgressPorts,
  hand: Hand,
): Promise<EgressParts['firewalls']> => {
  const rules = config.egress.rules.filter(({ waf }) => waf !== undefined)
  if (rules.length === 0) return new Map()
  const firewall = await hand.take(
    'egress firewall',
    [config.waf, rules.map(({ waf }) => waf), ports.stampOf(ruleFiles(config))],
    () => ports.openFirewall(config),
  )
  return new Map(
    rules.flatMap((rule) => {
      const inspect = firewall(rule)
      return inspect ? [[rule.id, inspect] as const] : []
    }),
  )
}

const federatedOf = (
  { trustDomains }: Egress,
  bundles: FederatedBundles,
): EgressParts['federated'] => {
  const accepted = new Set(trustDomains as TrustDomain[]) // the schema has checked their grammar
  return {
    trustDomains: accepted,
    bundleOf: bundles.get,
    svidOf: federatedSvids(bundles, accepted),
  }
}
