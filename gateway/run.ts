import type { Clock } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { GatewayConfig } from '#config/schema'
import type { TurnedAwayReason } from '#http/doors'
import { plainListener, type Listener } from '#http/listen'
import type { ListeningAt } from '#http/listen-on'
import type { UpstreamClient } from '#http/upstream-client'
import { exchangeConsole } from './admin/exchange-console.ts'
import { adminRoutes } from './admin/routes.ts'
import { gatewayStatus, unready } from './admin/status.ts'
import { exchangeClient } from './exchange-client.ts'
import { buildIngress, type BuiltIngress, type IngressPorts } from './ingress/build.ts'
import { ingressFigures } from './ingress/figures.ts'
import { ingressListener, readIngressCertificates } from './ingress/listener.ts'
import { ingress } from './ingress/pipeline.ts'
import { takeRequests } from './ingress/take-requests.ts'
import { liveTable } from './live.ts'
import { mintCache } from './mint-cache.ts'
import { runtimes } from './runtime.ts'
import { exchangePool } from './upstream/exchange-pool.ts'
import { undiciClient } from './upstream/undici-client.ts'

/** What the gateway is given: plugins, clocks, its own identity. */
export type GatewayPorts = Omit<IngressPorts, 'mints'> & {
  readonly clock: Clock
  readonly metrics: () => Promise<{ readonly contentType: string; readonly body: string }>
  /** Closes what was given, after everything else. */
  readonly close: () => Promise<unknown>
}

export type RunningGateway = {
  readonly ingress: ListeningAt
  readonly admin: ListeningAt
  /** Swaps to another configuration, or throws and goes on with the one that runs. */
  readonly reload: (config: GatewayConfig, revision: string) => Promise<void>
  /** Takes nothing new, lets what is under way finish, and ends. */
  readonly close: () => Promise<void>
}

/** How long the exchange's client lets connections be made. */
const exchangeConnections = 4

/** Runs a gateway of what it is given: listeners, the current configuration, and its end. */
export const runGateway = async (
  config: GatewayConfig,
  configRevision: string,
  ports: GatewayPorts,
): Promise<RunningGateway> => {
  const { meter, log, ownSvid, audit, clock } = ports
  const live = liveTable()
  let isDraining = false
  let revision = configRevision

  const exchange = exchangeAsker(config, ports)
  const mints = mintCache(exchange.ask, config.caches.maxMints, meter)
  type Served = BuiltIngress & { readonly way: ReturnType<typeof ingress> }
  const all = runtimes<GatewayConfig, Served>(async (next, hand) => {
    const built = await buildIngress(next, { ...ports, mints }, hand)
    return { ...built, way: ingress(built.parts) }
  })
  const first = await all.load(config)
  const reasons = () => unready(all.current().parts, ownSvid.current(), isDraining, clock())

  const taken = takeRequests({
    enter: () => {
      const [{ parts }, leave] = all.enter()
      return { way: parts.way, parts: parts.parts, leave }
    },
    live,
    audit,
    figures: ingressFigures(meter, [...first.parts.way.names, 'forward']),
    clock,
    randomBytes: ports.randomBytes,
    bug: (decisionId, step, cause) =>
      log.error({ decisionId, step, err: cause }, 'a bug of ours: a request got 500'),
  })
  const ingressAt = ingressListener({
    config: config.listeners.ingress,
    certificates: await readIngressCertificates(config.listeners.ingress, clock),
    take: taken,
    isReady: () => reasons().length === 0,
    meter,
    log,
  })
  const admin = plainListener({ turnedAway: turnedAwayAtAdmin(ports), log })
  const pool = exchangePool({
    url: config.exchange.url,
    expected: config.exchange.spiffeId as SpiffeId,
    ownSvid,
    timeoutMs: config.exchange.timeoutMs,
  })
  adminRoutes(admin.app, {
    host: config.listeners.admin.host,
    unready: reasons,
    metrics: ports.metrics,
    status: () =>
      gatewayStatus({
        runtime: all.current(),
        configRevision: revision,
        live,
        mints,
        svid: ownSvid.current(),
      }),
    exchange: exchangeConsole(config.exchange.url, pool),
  })
  const stopFigures = showFigures(ports, ingressAt, admin, live.size)

  const close = async () => {
    isDraining = true
    await ingressAt.close(config.drainSeconds * 1000)
    await live.empty()
    await admin.close(1000)
    stopFigures()
    all.close()
    await Promise.all([pool.destroy(), exchange.close()])
    await ports.close()
  }

  const listening = async () => ({
    admin: await admin.listen(config.listeners.admin.host, config.listeners.admin.port),
    ingress: await ingressAt.listen(config.listeners.ingress.host, config.listeners.ingress.port),
  })
  try {
    return {
      ...(await listening()),
      reload: async (next, nextRevision) => {
        await all.load(next)
        revision = nextRevision
      },
      close,
    }
  } catch (cause) {
    await close()
    throw cause
  }
}

/** Asks the exchange over connections that end with the SVID they were made with. */
const exchangeAsker = (
  { exchange: { url, spiffeId, timeoutMs } }: GatewayConfig,
  { ownSvid }: GatewayPorts,
) => {
  const make = (): UpstreamClient =>
    undiciClient({
      endpoint: url,
      expected: spiffeId as SpiffeId,
      svid: ownSvid.current(),
      maxConnections: exchangeConnections,
      connectTimeoutMs: timeoutMs,
    })
  let client = make()
  const stopFollowing = ownSvid.onChange(() => {
    void client.close()
    client = make()
  })
  return {
    ask: exchangeClient({ client: () => client, authority: new URL(url).host, timeoutMs }),
    close: () => {
      stopFollowing()
      return client.close()
    },
  }
}

const turnedAwayAtAdmin =
  ({ meter }: GatewayPorts) =>
  (reason: TurnedAwayReason) =>
    meter.counter('sallyport_turned_away_total', { direction: 'admin', reason })()

const figuresEveryMs = 5000

/** Gauges that nobody sets when they change. */
const showFigures = (
  { meter }: GatewayPorts,
  ingressAt: Listener,
  admin: Listener,
  open: () => number,
) => {
  const showOpen = meter.gauge('sallyport_open', { direction: 'ingress' })
  const showIngress = meter.gauge('sallyport_connections', { listener: 'ingress' })
  const showAdmin = meter.gauge('sallyport_connections', { listener: 'admin' })
  const timer = setInterval(() => {
    showOpen(open())
    showIngress(ingressAt.connections())
    showAdmin(admin.connections())
  }, figuresEveryMs).unref()
  return () => clearInterval(timer)
}
