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
import { auditLog } from '#plugins/audit-log/sink'
import { egressAllowlist } from '#plugins/egress-allowlist/guard'
import { loadPolicyBundle } from '#plugins/policy/bundle'
import { policyEngine } from '#plugins/policy/engine'
import { prometheusSink } from '#plugins/prometheus/sink'
import { quarantine } from '#plugins/quarantine/guard'
import { openQuarantine } from '#plugins/quarantine/open'
import { addressKey } from '#plugins/rate-limit/address-key'
import { rateLimit } from '#plugins/rate-limit/guard'
import { quotaHeaders } from '#plugins/rate-limit/quota'
import { limitStores } from '#plugins/rate-limit/stores'
import { waf } from '#plugins/waf/guard'
import { loadRuleSet } from '#plugins/waf/rule-set'
import { warmUp } from '#plugins/waf/warm-up'
import { openSeen, replayGuard } from '#plugins/replay/guard'
import { systemResolver } from './upstream/resolve-names.ts'
import { runGateway, type RunningGateway } from './run.ts'

const parts = {
  clock: systemClock,
  randomBytes: pooledRandomBytes(systemRandomBytes), // every request draws some
  sleep: systemSleep,
}

/**
 * Starts a gateway: everything that it is made of is chosen here and nowhere else.
 *
 * @param signal Ends the waiting for the first SVID.
 * @throws Error that says what the operator has to mend.
 */
export const startGateway = async (
  config: GatewayConfig,
  { log, revision, signal }: { log: Log; revision: string; signal?: AbortSignal },
): Promise<RunningGateway> => {
  const metrics = prometheusSink()
  const { meter } = metrics
  const shared = { ...parts, meter, log }
  const audit = auditLog(config.audit, shared)
  // Before the join token is spent: its file may stop the start.
  const list = await openQuarantine(config.quarantine, shared)
  const uptimeMs = () => performance.now()
  const viaName = `sallyport-${hostname().slice(0, 40)}-${systemRandomBytes(4).toString('hex')}`
  const tracing = await openTracing(config, { ...shared, instance: viaName, uptimeMs })
  const ownSvid = await openOwnSvid(config, shared, signal).catch(async (cause: unknown) => {
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
          spiffeId: config.spiffeId as SpiffeId,
          ...shared,
        },
        signal,
      )
    default:
      return identity satisfies never
  }
}

/** The rules are loaded once; what each route says differently makes a program of its own, shared by those that say the same. */
export const openFirewall =
  (log: Log) =>
  ({ waf: options }: GatewayConfig) => {
    const ruleSet = loadRuleSet(options)
    for (const warning of ruleSet.warnings) log.warn({ warning }, 'firewall')
    if (options.mode !== 'off')
      warmUp(ruleSet.programFor()).catch((err: unknown) => log.warn({ err }, 'firewall: warm-up'))
    return ({ waf: route }: Route) =>
      options.mode === 'off' && route?.mode === undefined
        ? undefined
        : waf({ ruleSet, options, clock: systemClock, ...(route ? { route } : {}) })
  }
