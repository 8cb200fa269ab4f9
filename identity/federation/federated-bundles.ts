import { readFile } from 'node:fs/promises'
import { setTimeout as sleepFor } from 'node:timers/promises'
import { causeText } from '#contract/cause'
import type { Clock, RandomBytes, Sleep } from '#contract/clock'
import type { SpiffeId, TrustDomain } from '#contract/spiffe-id'
import type { Log, Meter } from '#contract/telemetry'
import type { Federation } from '#config/schema'
import { bad, type Outcome } from '../outcome.ts'
import { acceptBundle, type Bundle } from '../svid/bundle.ts'
import { followBundle, type TrustBundle } from '../svid/follow-bundle.ts'
import { askBundleEndpoint, type BundleEndpoint } from './bundle-endpoint.ts'
import { bundleStoreIn, noBundleStore, type BundleStore } from './bundle-store.ts'

/** The bundles of the other trust domains that the configuration names, each by itself. */
export type FederatedBundles = {
  /** Undefined for a domain that is not named, and as long as its bundle could not be had. */
  readonly get: (trustDomain: TrustDomain) => Bundle | undefined
  /** Calls `listener` after a bundle has changed; returns how to stop that. */
  readonly onChange: (trustDomain: TrustDomain, listener: () => void) => () => void
  /** Resolves when each was tried once, or after a few seconds. */
  readonly start: () => Promise<void>
  /** For operators. */
  readonly status: () => Readonly<Record<string, FederationStatus>>
  readonly close: () => void
}

export type FederationStatus = {
  readonly sequence: number | undefined
  readonly refreshedAtMs: number | undefined
  readonly roots: number
  readonly jwtKeys: number
}

export type FederationPorts = {
  /** Roots of our own trust domain, where an endpoint there gives the bundle of another. */
  readonly ownRoots: () => string
  readonly ownTrustDomain: TrustDomain
  readonly clock: Clock
  readonly sleep: Sleep
  readonly randomBytes: RandomBytes
  readonly meter: Meter
  readonly log: Log
}

const longestStartMs = 5000

/**
 * Follows the bundle endpoint of each trust domain of `federation`. What was fetched is kept in its directory, where it says
 * one, and `spiffe_sequence` never falls, over restarts either. An endpoint that is away changes nothing: the last bundle is
 * used on, and its age is seen in `sallyport_federated_bundle_refreshed_timestamp_seconds`.
 *
 * @see SPIFFE Federation §4 and §5
 */
export const federatedBundles = (
  { directory, trustDomains }: Federation,
  ports: FederationPorts,
): FederatedBundles => {
  const store = directory === undefined ? noBundleStore : bundleStoreIn(directory)
  const followed = new Map(
    Object.entries(trustDomains).map(([name, { bundleEndpoint }]) => {
      const trustDomain = name as TrustDomain // the schema has checked its grammar
      return [trustDomain, follow(trustDomain, bundleEndpoint, store, ports, rootsOf)] as const
    }),
  )
  function rootsOf(trustDomain: TrustDomain): string {
    return trustDomain === ports.ownTrustDomain
      ? ports.ownRoots()
      : (followed.get(trustDomain)?.current()?.x509Roots ?? '')
  }
  return {
    get: (trustDomain) => followed.get(trustDomain)?.current(),
    onChange: (trustDomain, listener) =>
      followed.get(trustDomain)?.onChange(listener) ?? (() => {}),
    start: async () => {
      const enough = new AbortController()
      const late = sleepFor(longestStartMs, undefined, { signal: enough.signal }).catch(() => {})
      await Promise.race([Promise.all([...followed.values()].map(({ begun }) => begun)), late])
      enough.abort()
    },
    status: () => Object.fromEntries([...followed].map(([name, { status }]) => [name, status()])),
    close: () => {
      for (const { close } of followed.values()) close()
    },
  }
}

type Endpoint = Federation['trustDomains'][string]['bundleEndpoint']
type WebEndpoint = Exclude<Endpoint, { profile: 'workload-api' }>
type Followed = Pick<TrustBundle, 'current' | 'close'> & {
  readonly onChange: (listener: () => void) => () => void
  /** Resolves after the first try. */
  readonly begun: Promise<unknown>
  readonly status: () => FederationStatus
}

const follow = (
  trustDomain: TrustDomain,
  endpoint: Endpoint,
  store: BundleStore,
  ports: FederationPorts,
  rootsOf: (trustDomain: TrustDomain) => string,
): Followed => {
  const { clock, meter, log } = ports
  const showRefreshed = meter.gauge('sallyport_federated_bundle_refreshed_timestamp_seconds', {
    trust_domain: trustDomain,
  })
  const count = (result: 'ok' | 'failed' | 'refused') =>
    meter.counter('sallyport_federated_bundle_fetches_total', {
      trust_domain: trustDomain,
      result,
    })()
  let refreshedAtMs: number | undefined
  let following: Pick<TrustBundle, 'current' | 'onChange' | 'close'> | undefined
  let isClosed = false
  const told = new Set<() => void>()
  const stops: (() => void)[] = []

  const fetched = (result: 'ok' | 'failed' | 'refused') => {
    count(result)
    if (result !== 'ok') return
    refreshedAtMs = clock()
    showRefreshed(refreshedAtMs / 1000)
  }
  const tell = () => told.forEach((listener) => listener())

  const followEndpoint = async (from: WebEndpoint) => {
    const kept = await store.load(trustDomain)
    if (!kept.ok) log.error({ trustDomain, fault: kept.fault }, 'the kept bundle is of no use')
    const bootstrap = await bootstrapOf(from, trustDomain)
    if (bootstrap?.ok === false)
      log.error({ trustDomain, fault: bootstrap.fault }, 'the bundle to begin with is of no use')
    const first = newerOf(
      kept.ok ? kept.value : undefined,
      bootstrap?.ok ? bootstrap.value : undefined,
    )
    const asked = await endpointOf(from)
    if (isClosed) return
    const polled = followBundle({
      ...ports,
      trustDomain,
      first,
      // Until the first answer, the roots to begin with are those that the endpoint is known by.
      fetch: async () => (asked.ok ? askBundleEndpoint(asked.value, rootsOf) : asked),
      keep: async (document) => {
        const saved = await store.save(trustDomain, document)
        if (!saved.ok) log.error({ trustDomain, fault: saved.fault }, 'a bundle cannot be kept')
      },
      fetched,
      afterFailure: 'next-poll',
    })
    following = polled
    stops.push(polled.onChange(tell))
    if (first) tell()
    await polled.refresh()
  }

  const followAgentAt = async (socket: string) => {
    // Its packages are read only where it is configured.
    const { agentBundle } = await import('./agent-bundle.ts')
    if (isClosed) return
    const given = agentBundle({ ...ports, socket, trustDomain, fetched })
    following = given
    stops.push(given.onChange(tell))
    await given.begun
  }

  const begin = () =>
    endpoint.profile === 'workload-api' ? followAgentAt(endpoint.socket) : followEndpoint(endpoint)

  return {
    current: () => following?.current(),
    begun: begin().catch((cause: unknown) =>
      log.error({ err: cause, trustDomain }, 'federation broke'),
    ),
    onChange: (listener) => {
      const entry = () => listener()
      told.add(entry)
      return () => void told.delete(entry)
    },
    status: () => {
      const bundle = following?.current()
      return {
        sequence: bundle?.sequence,
        refreshedAtMs,
        roots: bundle?.authorities.roots.length ?? 0,
        jwtKeys: bundle?.jwtKeys.size ?? 0,
      }
    },
    close: () => {
      isClosed = true
      for (const stop of stops) stop()
      following?.close()
    },
  }
}

/** What was kept, unless the operator has put something newer there. */
const newerOf = (kept: Bundle | undefined, bootstrap: Bundle | undefined): Bundle | undefined =>
  kept && bootstrap
    ? (bootstrap.sequence ?? -1) > (kept.sequence ?? -1)
      ? bootstrap
      : kept
    : (kept ?? bootstrap)

const bootstrapOf = async (
  endpoint: WebEndpoint,
  trustDomain: TrustDomain,
): Promise<Outcome<Bundle> | undefined> => {
  if (endpoint.profile !== 'https_spiffe' || endpoint.bundleFile === undefined) return undefined
  const bytes = await read(endpoint.bundleFile)
  if (!bytes.ok) return bytes
  const bundle = await acceptBundle(bytes.value, trustDomain)
  if (!bundle.ok) return bad(`${endpoint.bundleFile}: ${bundle.fault}`)
  return bundle.value.foreignRoots > 0
    ? bad(`${endpoint.bundleFile} has roots of another trust domain`)
    : bundle
}

const endpointOf = async (endpoint: WebEndpoint): Promise<Outcome<BundleEndpoint>> => {
  switch (endpoint.profile) {
    case 'https_spiffe': {
      const { profile, url, spiffeId } = endpoint
      return { ok: true, value: { profile, url, spiffeId: spiffeId as SpiffeId } }
    }
    case 'https_web': {
      const { profile, url, caFile } = endpoint
      const ca = caFile === undefined ? undefined : await read(caFile)
      if (ca?.ok === false) return ca
      return { ok: true, value: { profile, url, ca: ca?.value.toString('utf8') } }
    }
    default:
      return endpoint satisfies never
  }
}

const read = async (file: string): Promise<Outcome<Buffer>> => {
  try {
    return { ok: true, value: await readFile(file) }
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause
    return bad(causeText(cause))
  }
}
