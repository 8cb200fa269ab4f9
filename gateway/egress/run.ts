import type { RandomBytes, Sleep } from '#contract/clock'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import type { EgressListener, GatewayConfig } from '#config/schema'
import type { Listener } from '#http/listen'
import type { ListeningAt } from '#http/listen-on'
import type { FederatedBundles } from '#identity/federation/federated-bundles'
import type { OwnSvid } from '#identity/svid/svid'
import type { Way } from '../compose.ts'
import { liveTable, type LiveTable } from '../live.ts'
import type { Hand } from '../shelf.ts'
import { accounts } from './accounts.ts'
import { buildEgress, type EgressPorts } from './build.ts'
import { egressFigures } from './figures.ts'
import { firstVisits } from './first-visits.ts'
import { egressListener, readEgressCertificates, workloadCertificates } from './listener.ts'
import { inspection } from './inspection/inspection.ts'
import { leafCache } from './inspection/leaf-cache.ts'
import { inspected, type InspectedAdmitted } from './inspection/pipeline.ts'
import { leafRequester } from './inspection/request-leaf.ts'
import type { InspectedReceived } from './inspection/tunnel.ts'
import { ownBundle } from './own-bundle.ts'
import { ownListeners } from './own-listeners.ts'
import type { EgressParts } from './parts.ts'
import { egress, type Admitted } from './pipeline.ts'
import type { EgressReceived } from './received.ts'
import { takeEgress } from './take-egress.ts'
import type { Serving, Taking } from './taking.ts'
import { tunnels } from './tunnels.ts'

/** The way out of one configuration. */
export type BuiltEgress = {
  readonly parts: EgressParts
  readonly way: Way<EgressReceived, Admitted>
  readonly inspected: Way<InspectedReceived, InspectedAdmitted>
}

export type EgressRunning = {
  /** Makes the way out of a configuration; undefined if it has none. */
  readonly build: (
    config: GatewayConfig,
    hand: Hand,
    federated: FederatedBundles,
  ) => Promise<BuiltEgress | undefined>
  readonly listen: () => Promise<ListeningAt>
  readonly live: LiveTable
  readonly tunnels: () => number
  readonly connections: () => number
  readonly cutIdle: Listener['cutIdle']
  /** From now on every answer is the last on its connection. */
  readonly drain: () => void
  readonly close: (graceMs: number) => Promise<void>
}

export type RunEgress = EgressPorts & {
  readonly randomBytes: RandomBytes
  readonly sleep: Sleep
  readonly log: Log
  readonly ownSvid: OwnSvid
  /** Of all listeners of this process. */
  readonly ownPorts: () => readonly number[]
  /** What serves now. */
  readonly enter: () => Serving | undefined
}

/** The part of a gateway by which workloads go out: what outlives a configuration, and its listener. */
export const runEgress = async (
  config: GatewayConfig,
  listening: EgressListener,
  ports: RunEgress,
): Promise<EgressRunning> => {
  const { meter, log, clock, ownSvid, audit } = ports
  const bundle = await ownBundle(config, exchangeOf(config), ports)
  let maxHosts = config.egress?.maxInspectedHosts ?? 0
  const state = {
    leaves: leafCache({
      request: leafRequester({
        exchange: exchangeOf(config),
        ownSvid,
        profile: listening.tls.profile,
        clock,
      }),
      maxHosts: () => maxHosts,
      ...ports,
    }),
    accounts: accounts(),
    bundle: bundle.current,
    isOwn: ownListeners(ports.ownPorts),
  }
  const live = liveTable()
  const open = tunnels(state.accounts, clock)
  const taking: Taking = {
    enter: ports.enter,
    live,
    audit,
    figures: egressFigures(meter, stepNames),
    clock,
    randomBytes: ports.randomBytes,
    bug: (decisionId, step, cause) =>
      log.error({ decisionId, step, err: cause }, 'a bug of ours: a request to go out got 500'),
  }
  const within = inspection(taking, listening, ports)
  const take = takeEgress({
    ...taking,
    tunnels: open,
    inspectTunnel: within.inspectTunnel,
    isFirstVisit: firstVisits(),
  })
  let certificates = await readEgressCertificates(listening, clock)
  const listener = egressListener({
    config: listening,
    certificates,
    roots: ownSvid.current().bundle,
    take,
    meter,
    log,
  })
  const useRoots = () =>
    listener.reloadTls(certificates, workloadCertificates(ownSvid.current().bundle))
  const stopFollowing = ownSvid.onChange(useRoots)

  return {
    build: async (next, hand, federated) => {
      const { egress: section } = next
      if (!section || !next.listeners.egress) return undefined
      const renewed = await readEgressCertificates(next.listeners.egress, clock)
      const parts = await buildEgress({ ...next, egress: section }, ports, state, hand, federated)
      maxHosts = section.maxInspectedHosts
      certificates = renewed
      useRoots()
      return { parts, way: egress(parts), inspected: inspected(parts) }
    },
    listen: () => listener.listen(listening.host, listening.port),
    live,
    tunnels: open.size,
    connections: listener.connections,
    cutIdle: listener.cutIdle,
    drain: () => {
      listener.drain()
      within.drain()
    },
    close: async (graceMs) => {
      stopFollowing()
      const late = setTimeout(() => live.sweep(() => ({ tag: 'draining' })), graceMs)
      await listener.close(graceMs + lastRecordsMs)
      live.sweep(() => ({ tag: 'draining' }))
      await live.empty()
      clearTimeout(late)
      within.close()
      open.close()
      bundle.close()
    },
  }
}

const exchangeOf = ({ exchange }: GatewayConfig) => ({
  url: exchange.url,
  spiffeId: exchange.spiffeId as SpiffeId,
  timeoutMs: exchange.timeoutMs,
})

/** Between the cut of what drained too long and the end of its connections. */
const lastRecordsMs = 500

const stepNames = [
  'audit',
  'ask',
  'workload',
  'cut off',
  'decision',
  'upgrade',
  'quota',
  'policy',
  'slot',
  'addresses',
  'credential',
  'leaf',
  'connection',
  'inspection',
] as const
