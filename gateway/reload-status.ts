import { isoTime, type Clock } from '#contract/clock'
import type { Secret } from '#contract/secret'
import type { Log, Meter } from '#contract/telemetry'
import type { GatewayConfig } from '#config/schema'

/** What an operator asks about reloads: does what I wrote run, and if not, why. */
export type ReloadStatus = {
  readonly revision: string
  readonly loadedAt: string
  /** Settings that differ from those that this process began with and that it cannot change. */
  readonly needsRestart: readonly string[]
  /** Of the last attempt, if it failed; what ran before runs on. */
  readonly lastFault?: { readonly at: string; readonly faults: readonly string[] }
}

export type ReloadNotes = {
  readonly status: () => ReloadStatus
  readonly succeeded: (config: GatewayConfig, revision: string) => void
  readonly failed: (faults: readonly string[]) => void
}

const maxFaults = 20

/** Keeps what became of each reload, for log, metrics and status. */
export const reloadNotes = (
  started: GatewayConfig,
  firstRevision: string,
  { clock, meter, log }: { readonly clock: Clock; readonly meter: Meter; readonly log: Log },
): ReloadNotes => {
  const count = {
    ok: meter.counter('sallyport_config_reloads_total', { result: 'ok' }),
    failed: meter.counter('sallyport_config_reloads_total', { result: 'failed' }),
  }
  const showWell = meter.gauge('sallyport_config_last_reload_ok', {})
  const showRevision = (revision: string, value: 0 | 1) =>
    meter.gauge('sallyport_config_info', { revision })(value)
  let status: ReloadStatus = {
    revision: firstRevision,
    loadedAt: isoTime(clock()),
    needsRestart: [],
  }
  showWell(1)
  showRevision(firstRevision, 1)

  return {
    status: () => status,
    succeeded: (config, revision) => {
      const needsRestart = changedForGood(started, config)
      if (needsRestart.length > 0)
        log.warn({ settings: needsRestart }, 'these settings have changed and need a restart')
      if (revision !== status.revision) showRevision(status.revision, 0)
      showRevision(revision, 1)
      showWell(1)
      count.ok()
      status = { revision, loadedAt: isoTime(clock()), needsRestart }
    },
    failed: (faults) => {
      showWell(0)
      count.failed()
      status = {
        ...status,
        lastFault: { at: isoTime(clock()), faults: faults.slice(0, maxFaults) },
      }
    },
  }
}

/** What this process was made with and is not made again. */
const changedForGood = (started: GatewayConfig, next: GatewayConfig): readonly string[] => {
  const [was, is] = [fixedSettings(started), fixedSettings(next)]
  return Object.keys(was).filter((name) => JSON.stringify(was[name]) !== JSON.stringify(is[name]))
}

const fixedSettings = (config: GatewayConfig): Readonly<Record<string, unknown>> => {
  const { host, port, limits, http2, healthPath, tls } = config.listeners.ingress
  const { maxTargetBytes: _read, ...listenerLimits } = limits // at each request
  return {
    workers: config.workers,
    spiffeId: config.spiffeId,
    identity: config.identity,
    exchange: config.exchange,
    'listeners.ingress.host': host,
    'listeners.ingress.port': port,
    'listeners.ingress.limits': listenerLimits,
    'listeners.ingress.http2': http2,
    'listeners.ingress.healthPath': healthPath,
    'listeners.ingress.tls.profile': tls.profile,
    'listeners.ingress.tls.clientCertificates': tls.clientCertificates !== undefined,
    'listeners.egress': withoutCertificates(config.listeners.egress),
    'listeners.admin': config.listeners.admin,
    'listeners.ingress.proxyProtocol': config.listeners.ingress.proxyProtocol ?? 'none',
    'limits.load': config.limits.load,
    'limits.store': inPlain(config.limits.store),
    quarantine: inPlain(config.quarantine),
    replay: inPlain(config.replay),
    dpop: inPlain(config.dpop),
    'caches.maxMints': config.caches.maxMints,
    audit: config.audit,
    tracing: inPlain(config.tracing),
  }
}

/** Certificates are read again; all else of a listener stays as it began. */
const withoutCertificates = (listener: GatewayConfig['listeners']['egress']) =>
  listener ? { ...listener, tls: listener.tls.profile } : 'none'

/** Secrets as what they hold: a changed one is a change, though it is not told. */
const inPlain = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if ('reveal' in value) return (value as Secret<unknown>).reveal()
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, inPlain(inner)]))
}
