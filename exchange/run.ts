import type { AuditSink } from '#contract/audit-event'
import type { Clock, RandomBytes, Sleep } from '#contract/clock'
import type { Log, Meter } from '#contract/telemetry'
import type { ExchangeConfig } from '#config/schema'
import type { ListeningAt } from '#http/listen-on'
import { bearerVerifier } from '#identity/bearer'
import { trustedIssuers } from '#identity/jwt/issuers'
import { tokenVerifier } from '#identity/jwt/verify'
import type { AgentBundle } from '#identity/federation/agent-bundle'
import type { OwnSvid } from '#identity/svid/svid'
import { adminForGateways } from './admin/for-gateways.ts'
import { exchangeAdminRoutes } from './admin/server.ts'
import { openAuthority } from './ca/authority.ts'
import { besidesOf } from './ca/besides.ts'
import {
  inspectionKeysOf,
  keyLifetimesOf,
  keyStoreOf,
  partiesOf,
  publishInspectionOf,
  publishRootsOf,
  registerKeepingOf,
  warnOfSettings,
} from './config-parts.ts'
import { locationsOf } from './discovery.ts'
import { removeSpent, writeJoinTokens } from './join-token-files.ts'
import { memoryJoinTokens } from './join-tokens.ts'
import { adminListener, clientRoots, exchangeListener, urlOf } from './listeners.ts'
import { mintFigures } from './mint-figures.ts'
import { ownAuthorities } from './own-authorities.ts'
import { ownCertificate, ownCertificateFrom } from './own-certificate.ts'
import { bundleListener } from './bundle-listener.ts'
import { federationOf } from './federation.ts'
import { exchangeRoutes } from './server.ts'
import { tlsPeer } from './tls-peer.ts'
import { issuedRegister } from './issued/register.ts'
import { issuedTimeline } from './issued/timeline.ts'
import { alsoReviewed, tokenReviewers } from './token-review/reviewer.ts'
import { tokenParts, type DecidingPorts } from './token-parts.ts'
import { everySoOften, upkeepOf } from './upkeep.ts'
import { visitsOf } from './visits.ts'

/** What the exchange is given: plugins, clocks. */
export type ExchangePorts = DecidingPorts & {
  readonly clock: Clock
  readonly randomBytes: RandomBytes
  readonly sleep: Sleep
  /** A clock that never goes back, in milliseconds. */
  readonly uptimeMs: () => number
  readonly audit: AuditSink
  /** Where our certificate comes from, if not from our own CA. */
  readonly ownSvid?: OwnSvid | undefined
  /** What else who gives it has for our trust domain: keys for JWT-SVIDs. */
  readonly ownBundle?: Pick<AgentBundle, 'current' | 'onChange'> | undefined
  readonly meter: Meter
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  readonly log: Log
  /** Closes what was given, after everything else. */
  readonly close: () => Promise<unknown>
}

export type RunningExchange = {
  readonly exchange: ListeningAt
  readonly admin: ListeningAt
  /** Where the bundle is for the web; undefined where that is not configured. */
  readonly federation: ListeningAt | undefined
  readonly urls: { readonly exchange: string; readonly admin: string }
  /** PEM of the roots that are published now: what a gateway's `caFile` must hold. */
  readonly roots: () => string
  /** Takes nothing new, lets what is under way finish, and ends. */
  readonly close: () => Promise<void>
}

/** A gateway brings one token once for each upstream, so most come again. */
const maxVerifiedTokens = 10_000
const adminGraceMs = 1000

/**
 * Runs an exchange of what it is given: its keys, who may have what, two listeners, upkeep, and its end.
 *
 * @throws Error that says what the operator has to mend; then nothing is left open but what was given.
 */
export const runExchange = async (
  config: ExchangeConfig,
  ports: ExchangePorts,
): Promise<RunningExchange> => {
  const { clock, randomBytes, audit, meter, log, ownSvid, ownBundle } = ports
  const parties = partiesOf(config)
  const { trustDomain, spiffeId, gateways, joinTokenFiles } = parties
  const lifetimeMs = config.lifetimes.x509SvidSeconds * 1000
  warnOfSettings(config, log)

  const inspection = inspectionKeysOf(config)
  const keys = await openAuthority({
    store: keyStoreOf(config),
    lifetimes: keyLifetimesOf(config),
    inspection,
    trustDomain,
    besides: () => besidesOf(ownSvid?.current(), ownBundle?.current()),
    ...ports,
  })
  const authority = keys.current
  const { names } = config.listeners.exchange
  const own = ownSvid
    ? ownCertificateFrom(ownSvid, clock)
    : await ownCertificate({ authority, spiffeId, names, lifetimeMs, clock, randomBytes })
  const authorities = ownAuthorities(authority)
  const joinTokens = memoryJoinTokens(clock, randomBytes, (token) => {
    void removeSpent(joinTokenFiles, token, log)
  })
  const federation = federationOf(config, () => authorities().rootsPem, ports)
  const { issuers: trusted, unsafe } = config
  const issuers = trustedIssuers({
    issuers: trusted,
    ...unsafe,
    ...ports,
    federated: federation.bundles,
  })
  const reviewers = tokenReviewers(config, ports)
  const verify = alsoReviewed(
    bearerVerifier(
      issuers,
      tokenVerifier({ issuers: issuers.byIss, maxTokens: maxVerifiedTokens, meter }),
    ),
    reviewers,
  )

  const newDecisionId = () => randomBytes(16).toString('base64url')
  const records = { audit, clock, gateways, newDecisionId }
  const peerOf = tlsPeer(trustDomain, authorities, federation.strangers)
  const listener = exchangeListener(
    config.listeners.exchange,
    own.current(),
    authorities().rootsPem,
    records,
    peerOf,
    ports,
  )
  const admin = adminListener(ports)
  const upkeep = upkeepOf({
    authority: keys,
    own,
    rootsPem: () => authorities().rootsPem,
    reloadTls: () => listener.reloadTls([own.current()], clientRoots(authorities().rootsPem)),
    publishRoots: publishRootsOf(config),
    publishInspection: publishInspectionOf(config),
    ...ports,
  })

  const locations = locationsOf(config.issuer)
  const keeping = await registerKeepingOf(config, clock, log)
  const register = issuedRegister(config.maxIssued, clock, keeping)
  const decided = await tokenParts({
    ...ports,
    config,
    parties,
    locations,
    authority,
    verify,
    register,
  })
  exchangeRoutes(listener.app, {
    ...decided,
    visits: visitsOf({ ...records, kind: 'exchange', peerOf }),
    audit,
    figures: mintFigures(meter),
    log,
    locations,
    joinTokens,
    lifetimeMs,
    gateways,
    holders: parties.joinable,
    inspection: inspection && { hosts: inspection.hosts, lifetimeMs: inspection.leafMs },
  })
  let isDraining = false
  const reads = {
    authority: keys,
    joinTokens,
    register,
    metrics: ports.metrics,
    status: () => ({
      issuers: Object.fromEntries(issuers.status()),
      tokenReviews: Object.fromEntries(
        [...reviewers].map(([name, { fault }]) => [name, { fault: fault() ?? null }]),
      ),
      federation: federation.bundles.status(),
    }),
    unready: () =>
      [
        isDraining ? 'shutting down' : undefined,
        audit.ready().ok ? undefined : 'audit records cannot be written',
        upkeep.fault(),
      ].filter((reason) => reason !== undefined),
  }
  adminForGateways(listener.app, { ...reads, gateways, peerOf, clock })
  exchangeAdminRoutes(admin.app, {
    ...reads,
    host: config.listeners.admin.host,
    joinable: parties.joinable,
    keysTurned: upkeep.tick,
    visits: visitsOf({ ...records, kind: 'admin', peerOf }),
    audit,
  })

  const showIssued = issuedTimeline(register, meter, clock)
  const tick = () => void upkeep.tick()
  const stopFollowing = [ownSvid?.onChange(tick), ownBundle?.onChange(tick)]
  const stopUpkeep = everySoOften(upkeep.tick, showIssued, [listener, admin], meter)
  const bundleAt =
    config.listeners.federation &&
    (await bundleListener(config.listeners.federation, authority, ports))
  const end = async () => {
    isDraining = true
    await bundleAt?.close(adminGraceMs)
    federation.bundles.close()
    await listener.close(config.drainSeconds * 1000)
    await admin.close(adminGraceMs)
    stopUpkeep()
    for (const stop of stopFollowing) stop?.()
    issuers.close()
    decided.closeAws()
    for (const { close } of reviewers.values()) close()
    await keeping.journal.close()
  }
  try {
    await issuers.start()
    await writeJoinTokens(joinTokenFiles, joinTokens)
    await federation.bundles.start()
    await upkeep.tick()
    const { host, port } = config.listeners.admin
    const adminAt = await admin.listen(host, port)
    const federationAt = await bundleAt?.listen()
    const exchangeAt = await listener.listen(
      config.listeners.exchange.host,
      config.listeners.exchange.port,
    )
    return {
      exchange: exchangeAt,
      admin: adminAt,
      federation: federationAt,
      urls: { exchange: urlOf('https', exchangeAt), admin: urlOf('http', adminAt) },
      roots: () => authorities().rootsPem,
      close: async () => {
        await end()
        await ports.close()
      },
    }
  } catch (cause) {
    await end()
    throw cause
  }
}
