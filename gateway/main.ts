import { hostname } from 'node:os'
import { pooledRandomBytes, systemClock, systemRandomBytes, systemSleep } from '#contract/clock'
import type { QuotaHeaders } from '#contract/quota'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import type { Log } from '#contract/telemetry'
import type { GatewayConfig, Route } from '#config/schema'
import { fileStamp } from '#http/file-stamp'
import { dpopNonces } from '#identity/jwt/dpop-nonce'
import { ownSvidFromExchange } from '#identity/svid/own-svid-from-exchange'
import { ownSvidFromFiles } from '#identity/svid/own-svid-from-files'
import type { OwnSvid } from '#identity/svid/svid'
import { auditLog } from '#plugins/audit-log/sink'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { prometheusSink } from '#plugins/prometheus/sink'
import { workersFigures } from '#plugins/prometheus/workers'
import { quarantine } from '#plugins/quarantine/guard'
import { openQuarantine } from '#plugins/quarantine/open'
import { addressKey } from '#plugins/rate-limit/address-key'
import { rateLimit } from '#plugins/rate-limit/guard'
import { quotaHeaders } from '#plugins/rate-limit/quota'
import { limitStores } from '#plugins/rate-limit/stores'
import { openSeen, replayGuard } from '#plugins/replay/guard'
import { systemResolver } from './upstream/resolve-names.ts'
import { startPrimary } from './primary.ts'
import { runGateway, type RunningGateway } from './run.ts'
import { runWorker, type WorkerStart } from './worker.ts'
import type { ChannelEnd } from './worker-channel.ts'

const parts = {
  clock: systemClock,
  randomBytes: pooledRandomBytes(systemRandomBytes), // every request draws some
  sleep: systemSleep,
}

type StartingOne = Pick<Starting, 'log' | 'revision'> & {
  readonly metrics: ReturnType<typeof prometheusSink>
  readonly openSvid: () => Promise<OwnSvid>
  readonly worker?: WorkerStart
}

type Starting = {
  readonly log: Log
  readonly revision: string
  readonly signal?: AbortSignal
}

/**
 * Starts a gateway: in this process, or as several workers that this process keeps alive.
 *
 * @param signal Ends the waiting for the first SVID.
 * @throws Error that says what the operator has to mend.
 */
export const serveGateway = async (
  config: GatewayConfig,
  { log, revision, signal }: Starting,
): Promise<
  Pick<RunningGateway, 'admin' | 'reload' | 'reloadFailed' | 'reopenRecords' | 'close'>
> => {
  if (config.workers === 1)
    return startGateway(config, { log, revision, ...(signal ? { signal } : {}) })
  const metrics = prometheusSink()
  const shared = { ...parts, meter: metrics.meter, log }
  const ownSvid = await openOwnSvid(config, shared, signal)
  return startPrimary(config, revision, { ...shared, ownSvid, figures: workersFigures(metrics) })
}

/** Serves as one of several workers, whatever its primary asks. */
export const startGatewayWorker = (log: Log, end: ChannelEnd, exit: () => void): void =>
  runWorker({
    end,
    exit,
    start: async (given, ownSvid) => {
      const metrics = prometheusSink()
      const running = await startOne(given.config, {
        log,
        ...given,
        worker: given,
        metrics,
        openSvid: async () => ownSvid,
      })
      return { running, figures: metrics.figures }
    },
  })

/**
 * Starts a gateway in this process.
 *
 * @param signal Ends the waiting for the first SVID.
 * @throws Error that says what the operator has to mend.
 */
export const startGateway = async (
  config: GatewayConfig,
  { log, revision, signal }: Starting,
): Promise<RunningGateway> => {
  const metrics = prometheusSink()
  const shared = { ...parts, meter: metrics.meter, log }
  const openSvid = () => openOwnSvid(config, shared, signal)
  return startOne(config, { log, revision, metrics, openSvid })
}

/**
 * Everything that a gateway is made of is chosen here and nowhere else.
 *
 * @throws Error that says what the operator has to mend.
 */
const startOne = async (
  config: GatewayConfig,
  { log, revision, metrics, openSvid, worker }: StartingOne,
): Promise<RunningGateway> => {
  const { meter } = metrics
  const shared = { ...parts, meter, log }
  const audit = auditLog(config.audit, shared)
  // Before the join token is spent: its file may stop the start.
  const list = await openQuarantine(config.quarantine, shared)
  const uptimeMs = () => performance.now()
  const viaName = `sallyport-${hostname().slice(0, 40)}-${systemRandomBytes(4).toString('hex')}`
  const tracing = await openTracing(config, { ...shared, instance: viaName, uptimeMs })
  const ownSvid = await openSvid().catch(async (cause: unknown) => {
    await Promise.all([list.close(), tracing?.close()])
    throw cause
  })
  const seen = await openSeen(config.replay, shared)
  const stores = await limitStores(config.limits.store, shared)
  return runGateway(config, revision, {
    ...shared,
    audit,
    quarantine: quarantine({ list, ...shared }),
    holder: { spendOnce: replayGuard(seen, meter), nonces: noncesOf(config) },
    metrics: metrics.scrape,
    ownSvid,
    resolveName: systemResolver,
    stampOf: fileStamp,
    reopenRecords: audit.reopen,
    uptimeMs,
    viaName,
    tracing,
    worker,
    openPolicy: (options) => policyEngine(loadPolicyBundle(options), options, shared),
    limit: (limit, of, options) =>
      rateLimit({
        bucket: stores[limit === 'address' ? 'addresses' : 'callers'].bucket({
          name: `${limit} ${of}`,
          points: options.points,
          windowSeconds: options.windowSeconds,
        }),
        limit,
        mode: options.mode,
        key: limit === 'address' ? ({ key }) => addressKey(key) : ({ key }) => key,
        meter,
      }),
    openFirewall: openFirewall(log),
    openAllowlist: egressAllowlist,
    quotaHeaders: quotaHeaders satisfies QuotaHeaders,
    close: () =>
      Promise.all([
        stores.close(),
        list.close(),
        seen.close(),
        audit.close(),
        tracing?.close(),
      ]).then(() => ownSvid.close()),
  })
}

/** Its packages are read only where it is configured: a gateway without it is as if there were none. */
const openTracing = async (
  { tracing }: GatewayConfig,
  ports: Parameters<typeof import('#plugins/tracing/sink').tracingSink>[1],
) => tracing && (await import('#plugins/tracing/sink')).tracingSink(tracing, ports)

const nonceKeyBytes = 32

const noncesOf = ({ dpop: { nonce, nonceSeconds, nonceKey } }: GatewayConfig) => {
  if (nonce === 'off') return undefined
  const key =
    nonceKey === undefined
      ? systemRandomBytes(nonceKeyBytes)
      : Buffer.from(nonceKey.reveal().trim())
  if (key.length < nonceKeyBytes)
    throw new TypeError(`dpop.nonceKey is shorter than ${nonceKeyBytes} characters`)
  return dpopNonces(secret(key), nonceSeconds * 1000)
}

const openOwnSvid = (
  config: GatewayConfig,
  shared: typeof parts & { meter: ReturnType<typeof prometheusSink>['meter']; log: Log },
  signal: AbortSignal | undefined,
) => {
  const { identity, exchange } = config
  switch (identity.source) {
    case 'files':
      return ownSvidFromFiles({
        ...identity,
        spiffeId: config.spiffeId as SpiffeId,
        ...shared,
      })
    case 'exchange':
      return ownSvidFromExchange(
        {
          exchange: {
            url: exchange.url,
            spiffeId: exchange.spiffeId as SpiffeId,
            timeoutMs: exchange.timeoutMs,
          },
          caFile: exchange.caFile,
          joinTokenFile: identity.joinTokenFile,
          tokenFile: identity.tokenFile,
          svidFile: identity.svidFile,
          spiffeId: config.spiffeId as SpiffeId,
          ...shared,
        },
        signal,
      )
    case 'workload-api':
      return ownSvidFromAgent(
        { socket: identity.socket, spiffeId: config.spiffeId as SpiffeId, ...shared },
        signal,
      )
    default:
      return identity satisfies never
  }
}

/** Its packages are read only where it is configured. */
const ownSvidFromAgent = async (
  options: Parameters<typeof import('#identity/svid/own-svid-from-agent').ownSvidFromAgent>[0],
  signal: AbortSignal | undefined,
) => (await import('#identity/svid/own-svid-from-agent')).ownSvidFromAgent(options, signal)

/**
 * The rules are loaded once; what each route says differently makes a program of its own, shared by those that say the
 * same. Where it is off for all, neither rules nor engine are read: it is the largest part of a gateway.
 */
export const openFirewall = (log: Log) => async (config: GatewayConfig) => {
  if (!wantsFirewall(config)) return () => undefined
  const { waf: options } = config
  const [{ waf }, { loadRuleSet }, { warmUp }] = await Promise.all([
    import('#plugins/waf/guard'),
    import('#plugins/waf/rule-set'),
    import('#plugins/waf/warm-up'),
  ])
  const ruleSet = loadRuleSet(options)
  for (const warning of ruleSet.warnings) log.warn({ warning }, 'firewall')
  if (options.mode !== 'off')
    warmUp(ruleSet.programFor()).catch((err: unknown) => log.warn({ err }, 'firewall: warm-up'))
  return ({ waf: route }: Pick<Route, 'waf'>) =>
    options.mode === 'off' && route?.mode === undefined
      ? undefined
      : waf({ ruleSet, options, clock: systemClock, ...(route ? { route } : {}) })
}

const wantsFirewall = ({ waf, routes, egress }: GatewayConfig): boolean =>
  waf.mode !== 'off' ||
  [...routes, ...(egress?.rules ?? [])].some((one) => one.waf?.mode !== undefined)
