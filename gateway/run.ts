import type { Sleep } from '#contract/clock'
import type { Tracing } from '#contract/tracing'
import { causeText } from '#contract/cause'
import type { Quarantine } from '#contract/quarantine'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import { noMeter } from '#contract/telemetry'
import type { GatewayConfig } from '#config/schema'
import type { TurnedAwayReason } from '#http/doors'
import { loadGauge } from '#http/load-gauge'
import type { ServerCertificate } from '#http/certificates'
import { plainListener, type Listener } from '#http/listen'
import type { ListeningAt } from '#http/listen-on'
import { exchangeConsole } from './admin/exchange-console.ts'
import { askApp, type AdminAnswer, type AdminQuestion } from './admin/ask-app.ts'
import { recordedOrders } from './admin/orders.ts'
import { adminRoutes } from './admin/routes.ts'
import { gatewayStatus, unready } from './admin/status.ts'
import { forwardStep } from './answer.ts'
import { cutQuarantined } from './cut-quarantined.ts'
import type { EgressPorts } from './egress/build.ts'
import type { BuiltEgress, EgressRunning } from './egress/run.ts'
import { federatedBundles, type FederatedBundles } from '#identity/federation/federated-bundles'
import { endExpired } from './end-expired.ts'
import { exchangeAsker } from './exchange-asker.ts'
import { buildIngress, type BuiltIngress, type IngressPorts } from './ingress/build.ts'
import { ingressFigures } from './ingress/figures.ts'
import {
  ingressListener,
  readClientCertificates,
  readIngressCertificates,
} from './ingress/listener.ts'
import { ingress } from './ingress/pipeline.ts'
import { preflights } from './ingress/preflight.ts'
import { traceRequests } from './ingress/request-trace.ts'
import { takeRequests } from './ingress/take-requests.ts'
import { legacyIdentities } from './legacy-identities.ts'
import { liveTable } from './live.ts'
import { mintCache } from './mint-cache.ts'
import { reloadNotes } from './reload-status.ts'
import type { Hand } from './shelf.ts'
import { runtimes, type Runtimes } from './runtime.ts'
import { showFigures } from './show-figures.ts'
import { exchangePool } from './upstream/exchange-pool.ts'

/** What the gateway is given: plugins, clocks, its own identity. */
export type GatewayPorts = Omit<IngressPorts, 'mints' | 'legacy' | 'load'> &
  Pick<EgressPorts, 'openAllowlist'> & {
    readonly quarantine: Quarantine
    readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
    readonly reopenRecords: () => void
    readonly sleep: Sleep
    /** Absent where no traces are taken. */
    readonly tracing?: Tracing | undefined
    /** Of a worker: its primary has the admin listener and tells of reloads. */
    readonly worker?: { readonly ticketKeys: Buffer } | undefined
    /** Closes what was given, after everything else. */
    readonly close: () => Promise<unknown>
  }

export type PreparedGateway = { readonly commit: () => void; readonly abandon: () => void }

export type RunningGateway = {
  readonly ingress: ListeningAt
  /** Undefined where the configuration has no listener for it. */
  readonly egress: ListeningAt | undefined
  /** Of its primary, in a worker. */
  readonly admin: ListeningAt
  /** Swaps to another configuration, or throws and goes on with the one that runs. Not to be called while it runs. */
  readonly reload: (config: GatewayConfig, revision: string) => Promise<void>
  /** The same in two steps, so that several processes swap only if all can. */
  readonly prepare: (config: GatewayConfig, revision: string) => Promise<PreparedGateway>
  readonly unready: () => readonly string[]
  readonly status: () => object
  /** What the admin listener would answer, for a primary that was asked. */
  readonly askAdmin: (question: AdminQuestion) => Promise<AdminAnswer>
  /** Notes that there is a configuration that cannot be loaded. */
  readonly reloadFailed: (faults: readonly string[]) => void
  /** Opens the files of records anew, after they were moved away. */
  readonly reopenRecords: () => void
  /** Takes nothing new, lets what is under way finish, and ends. */
  readonly close: () => Promise<void>
}

/** Between the cut of what drained too long and the end of its connections. */
const lastRecordsMs = 500

/** Runs a gateway of what it is given: listeners, the current configuration, and its end. */
export const runGateway = async (
  config: GatewayConfig,
  configRevision: string,
  ports: GatewayPorts,
): Promise<RunningGateway> => {
  const { meter, log, ownSvid, audit, quarantine, clock } = ports
  const live = liveTable()
  const load = loadGauge(config.limits.load, live.size)
  let isDraining = false
  const { worker } = ports
  const notes = reloadNotes(config, configRevision, worker ? { ...ports, meter: noMeter } : ports)

  const exchange = exchangeAsker(config, ports)
  const mints = mintCache(exchange.ask, config.caches.maxMints, meter)
  const legacy = legacyIdentities({
    ask: exchange.ask,
    maxEntries: config.caches.maxMints,
    meter,
    randomBytes: ports.randomBytes,
  })
  type Served = BuiltIngress & {
    readonly federated: FederatedBundles
    readonly way: ReturnType<typeof ingress>
    readonly preflights: ReturnType<typeof preflights>
    readonly egress: BuiltEgress | undefined
    readonly certificates: readonly ServerCertificate[]
    readonly clientCertificates: Awaited<ReturnType<typeof readClientCertificates>>
  }
  const all: Runtimes<GatewayConfig, Served> = runtimes(async (next, hand) => {
    const certificates = await readIngressCertificates(next.listeners.ingress, clock)
    const clientCertificates = await readClientCertificates(next.listeners.ingress)
    const federated = takeFederation(next, ports, hand)
    await federated.start()
    const given = { ...ports, mints, legacy, load: load.guard }
    const built = await buildIngress(next, given, hand, federated)
    const wayOut = await egressAt?.build(next, hand, federated)
    for (const upstream of built.upstreams.values()) void upstream.start()
    ingressAt?.reloadTls(certificates, clientCertificates) // last, for it throws or is done
    showEnd(Math.min(...certificates.map(({ notAfterMs }) => notAfterMs)) / 1000)
    return {
      ...built,
      federated,
      certificates,
      clientCertificates,
      way: ingress(built.parts),
      preflights: preflights(built.parts),
      egress: wayOut,
    }
  })
  let openPorts: readonly number[] = []
  const egressAt: EgressRunning | undefined =
    config.listeners.egress &&
    // Few have both ways, and its files would be read at every start.
    (await (
      await import('./egress/run.ts')
    ).runEgress(config, config.listeners.egress, {
      ...ports,
      mint: exchange.ask,
      ownPorts: () => openPorts,
      enter: () => {
        const [{ parts }, leave] = all.enter()
        if (parts.egress) return { ...parts.egress, leave }
        leave()
        return undefined
      },
    }))
  let ingressAt: Listener | undefined
  const showEnd = meter.gauge('sallyport_certificate_not_after_timestamp_seconds', {
    role: 'ingress',
  })
  const first = await all.load(config)
  const reasons = () =>
    unready(all.current().parts, ownSvid.current(), isDraining, quarantine, clock())

  const taken = takeRequests({
    enter: () => {
      const [{ parts }, leave] = all.enter()
      return { way: parts.way, preflights: parts.preflights, parts: parts.parts, leave }
    },
    live,
    audit,
    figures: ingressFigures(meter, [...first.parts.way.names, forwardStep]),
    clock,
    randomBytes: ports.randomBytes,
    trace: requestTracer(config, ports),
    bug: (decisionId, step, cause) =>
      log.error({ decisionId, step, err: cause }, 'a bug of ours: a request got 500'),
  })
  const edge = ingressListener({
    config: config.listeners.ingress,
    certificates: first.parts.certificates,
    clientCertificates: first.parts.clientCertificates,
    ticketKeys: worker?.ticketKeys,
    take: taken,
    isReady: () => reasons().length === 0,
    meter,
    log,
  })
  ingressAt = edge
  const admin = plainListener({ turnedAway: turnedAwayAtAdmin(ports), log })
  const pool = exchangePool({
    url: config.exchange.url,
    expected: config.exchange.spiffeId as SpiffeId,
    ownSvid,
    timeoutMs: config.exchange.timeoutMs,
  })
  const status = () =>
    gatewayStatus({
      runtime: all.current(),
      reloads: notes.status(),
      live,
      mints,
      quarantine,
      svid: ownSvid.current(),
      federation: all.current().parts.federated.status(),
      clockOfExchangeAheadSeconds: exchange.clockAheadSeconds(),
    })
  adminRoutes(admin.app, {
    host: config.listeners.admin.host,
    unready: reasons,
    metrics: ports.metrics,
    status,
    quarantine,
    orders: recordedOrders(ports),
    clock,
    named: () => namedIn(all.current().config),
    exchange: exchangeConsole(config.exchange.url, pool),
  })
  const stopFigures = showFigures(meter, {
    edge,
    admin,
    egressAt,
    open: live.size,
  })

  const stopExpiring = endExpired(live, clock, () => all.current().config)
  const stopCutting = cutQuarantined({ quarantine, live, listener: edge, egress: egressAt, clock })

  const close = async () => {
    isDraining = true
    edge.drain()
    egressAt?.drain()
    await ports.sleep(config.drainDelaySeconds * 1000)
    const drainMs = config.drainSeconds * 1000
    // Those that are cut leave a record that says why.
    const late = setTimeout(() => live.sweep(() => ({ tag: 'draining' })), drainMs)
    await Promise.all([edge.close(drainMs + lastRecordsMs), egressAt?.close(drainMs)])
    await live.empty()
    clearTimeout(late)
    await admin.close(1000)
    stopExpiring()
    stopCutting()
    stopFigures()
    load.stop()
    all.close()
    await Promise.all([pool.destroy(), exchange.close()])
    await ports.close()
  }

  const prepare = async (next: GatewayConfig, nextRevision: string): Promise<PreparedGateway> => {
    const { certificates, clientCertificates } = all.current().parts
    const prepared = await all.prepare(next)
    return {
      commit: () => {
        prepared.commit()
        notes.succeeded(next, nextRevision)
      },
      abandon: () => {
        edge.reloadTls(certificates, clientCertificates)
        prepared.abandon()
      },
    }
  }

  const listening = async () => ({
    admin: worker
      ? config.listeners.admin
      : await admin.listen(config.listeners.admin.host, config.listeners.admin.port),
    ingress: await edge.listen(config.listeners.ingress.host, config.listeners.ingress.port),
    egress: await egressAt?.listen(),
  })
  try {
    const at = await listening()
    openPorts = [at.admin, at.ingress, at.egress].flatMap((one) => (one ? [one.port] : []))
    return {
      ...at,
      reload: async (next, nextRevision) => {
        try {
          const prepared = await prepare(next, nextRevision)
          prepared.commit()
        } catch (cause) {
          notes.failed([causeText(cause)])
          throw cause
        }
      },
      prepare,
      unready: reasons,
      status,
      askAdmin: (question) => askApp(admin.app, question),
      reloadFailed: notes.failed,
      reopenRecords: ports.reopenRecords,
      close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** Other trust domains, followed on across a reload that changes nothing about them. */
const takeFederation = (
  { federation, trustDomain }: GatewayConfig,
  { ownSvid, ...ports }: GatewayPorts,
  hand: Hand,
): FederatedBundles =>
  hand.take(
    'federation',
    [federation, trustDomain],
    () =>
      federatedBundles(federation, {
        ...ports,
        ownRoots: () => ownSvid.current().bundle,
        ownTrustDomain: trustDomain as TrustDomain,
      }),
    (bundles) => bundles.close(),
  )

const requestTracer = (
  { tracing: options }: GatewayConfig,
  { tracing, randomBytes }: GatewayPorts,
) => tracing && traceRequests(tracing, randomBytes, new Set(options?.continueIssuers))

/** What an entry of the quarantine can be about here. */
const namedIn = ({ routes, issuers }: GatewayConfig) => ({
  routes: routes.map(({ id }) => id),
  issuers: Object.entries(issuers).flatMap(([name, { issuer }]) => [name, issuer]),
})

const turnedAwayAtAdmin =
  ({ meter }: GatewayPorts) =>
  (reason: TurnedAwayReason) =>
    meter.counter('sallyport_turned_away_total', { direction: 'admin', reason })()
