import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Contender, UpstreamProtocol } from './contender.ts'
import { ids, trustDomain, type Certificates } from './mesh.ts'
import {
  endOf,
  freePorts,
  measuredCore,
  otherCore,
  startOn,
  withWorkers,
  type Running,
} from './processes.ts'
import { audience, issuer, type TokenMaker } from './tokens.ts'
import type { Upstream } from './upstream.ts'

export type MeshParts = {
  readonly folder: string
  readonly certificates: Certificates
  readonly tokens: TokenMaker
}

export type Exchange = {
  readonly running: Running
  readonly url: string
  /** File of what it says. */
  readonly output: string
}

const ownTree = join(import.meta.dirname, '../..')

/** A real exchange, which mints for the gateways. */
export const startExchange = async (
  parts: MeshParts,
  options: Pick<GatewayOptions, 'tree' | 'nodeOptions'> & { readonly core?: number } = {},
): Promise<Exchange> => {
  const { folder, certificates } = parts
  const [port = 0, adminPort = 0] = await freePorts(2)
  const url = `https://localhost:${port}`
  const file = join(folder, 'exchange.yaml')
  writeFileSync(
    file,
    stringify({
      ...sharedConfig(parts, 1),
      spiffeId: ids.exchange,
      issuer: url,
      listeners: {
        exchange: {
          port,
          names: ['localhost', '127.0.0.1'],
          limits: { maxRequestsPerConnection: 1_000_000_000 },
        },
        admin: { port: adminPort },
      },
      ca: { store: { directory: certificates.exchangeKeys } },
      gateways: [ids.gateway],
      audit: { file: join(folder, 'exchange-audit.jsonl') },
    }),
  )
  const running = await start('exchange', file, adminPort, { core: otherCore, ...options, folder })
  return { running, url, output: outputOf(file) }
}

export type Service = {
  readonly endpoint: string | readonly string[]
  readonly path: string
  readonly route?: object
}

export type GatewayOptions = {
  readonly protocol: UpstreamProtocol
  readonly routes?: number
  readonly issuers?: number
  /** Another checkout, to measure a change against what was before it. */
  readonly tree?: string
  /** Options for Node, such as `--cpu-prof`. */
  readonly nodeOptions?: readonly string[]
  /** Further settings of its ingress listener, and of its first route. */
  readonly ingress?: object
  readonly route?: object
  /** Where the service is, if it is not the one of nginx. */
  readonly endpoint?: string | readonly string[]
  /** Further services, by the name of their route and upstream. */
  readonly services?: Readonly<Record<string, Service>>
  readonly limits?: object
  /** Off unless it is said: the others have none. */
  readonly waf?: object
  readonly workers?: number
  /** `redis://` of what several workers share. */
  readonly redisUrl?: string | undefined
  readonly egress?: { readonly listener: object; readonly section: object }
}

/**
 * A gateway with everything on: the gate, a limit per address and per caller, the shipped policy, minted identities,
 * records to a file, metrics. Its caches are small, so that of many tokens each is new to it.
 */
export const startGateway = async (
  name: string,
  options: GatewayOptions,
  parts: MeshParts & { readonly upstream?: Upstream; readonly exchange: Exchange },
): Promise<Contender & { readonly adminPort: number; readonly file: string }> => {
  const { folder } = parts
  const [port = 0, adminPort = 0] = await freePorts(2)
  const file = join(folder, `${name}.yaml`)
  const records = join(folder, `${name}.audit.jsonl`)
  const config = gatewayConfig(options, { ...parts, port, adminPort, records })
  // Written once: those that run already would read everything again.
  const dataFile = join(folder, 'policy-data.json')
  if (!existsSync(dataFile)) writeFileSync(dataFile, JSON.stringify(policyData))
  writeFileSync(file, stringify(config))
  const running = await start('gateway', file, adminPort, {
    ...options,
    core: measuredCore,
    folder,
  })
  const whole = (options.workers ?? 1) > 1 ? withWorkers(running) : running
  return { name, url: `https://localhost:${port}`, running: whole, records, adminPort, file }
}

const gatewayConfig = (
  {
    protocol,
    routes = 1,
    issuers = 1,
    tree = ownTree,
    ingress = {},
    route: more = {},
    endpoint,
    services = {},
    limits = {},
    waf = { mode: 'off' },
    workers = 1,
    redisUrl,
    egress,
  }: GatewayOptions,
  parts: MeshParts & {
    readonly upstream?: Upstream
    readonly exchange: Exchange
    readonly port: number
    readonly adminPort: number
    readonly records: string
  },
) => {
  const { folder, certificates, upstream, exchange } = parts
  const { gateway, edge, meshRoots } = certificates
  const plenty = { points: 1_000_000_000, windowSeconds: 60 }
  const route = (path: string, id: string) => ({
    id,
    team: 'shop',
    match: { hosts: ['localhost'], path: { prefix: path } },
    authenticate: { issuers: ['bench'] },
    limits: { caller: plenty },
    policy: {
      requires: {
        roles: { any: ['orders-reader'] },
        scopes: ['orders:read'],
        methods: ['GET', 'POST'],
      },
    },
    upstream: 'orders',
  })
  const others = Array.from({ length: routes - 1 }, (_, i) =>
    route(`/tenants/${i % 100}/services/${i}`, `service-${i}`),
  )
  return {
    ...sharedConfig(parts, issuers),
    spiffeId: ids.gateway,
    identity: {
      source: 'files',
      certificateFile: gateway.certificate,
      keyFile: gateway.key,
      bundleFile: meshRoots,
    },
    // On a busy machine it shares a core with the load.
    exchange: {
      url: exchange.url,
      spiffeId: ids.exchange,
      caFile: meshRoots,
      timeoutMs: 10_000,
    },
    listeners: {
      ingress: {
        port: parts.port,
        tls: { certificates: [{ certificateFile: edge.certificate, keyFile: edge.key }] },
        limits: { maxRequestsPerConnection: 1_000_000_000 }, // as the others
        ...ingress,
      },
      ...(egress ? { egress: egress.listener } : {}),
      admin: { port: parts.adminPort },
    },
    ...(egress ? { egress: egress.section } : {}),
    limits: { address: plenty, ...limits },
    waf,
    ...(workers === 1 || redisUrl === undefined ? {} : shared(workers, redisUrl, folder)),
    caches: { maxTokens: 1000, maxMints: 1000 },
    policy: {
      bundleFile: join(tree, 'config/policy/bundle/bundle.tar.gz'),
      dataFile: join(folder, 'policy-data.json'),
    },
    audit: { file: parts.records },
    upstreams: {
      orders: {
        endpoints: [
          endpoint ??
            `https://127.0.0.1:${protocol === 'h2' ? upstream?.h2Port : upstream?.http1Port}`,
        ].flat(),
        spiffeId: ids.orders,
      },
      ...Object.fromEntries(
        Object.entries(services).map(([name, { endpoint: at }]) => [
          name,
          { endpoints: [at].flat(), spiffeId: ids.orders },
        ]),
      ),
    },
    routes: [
      { ...route('/orders', 'orders'), ...more },
      ...Object.entries(services).map(([name, { path, route: own = {} }]) => ({
        ...route(path, name),
        upstream: name,
        ...own,
      })),
      ...others,
    ],
  }
}

/** Quarantine and replay store must be one for all workers; limits would pay for it with each request, as the others do not. */
const shared = (workers: number, redisUrl: string, folder: string) => {
  const file = join(folder, 'redis-url')
  writeFileSync(file, redisUrl)
  const redis = { url: { file } }
  return { workers, quarantine: { redis }, replay: { redis } }
}

/** For the policy that is shipped: what the callers of the benchmarks may. */
export const policyData = {
  issuers: {
    bench: {
      roles: { claim: ['roles'], names: { 'orders-reader': 'orders-reader' } },
      scopes: { claim: ['scope'] },
      tenant: { claim: ['tenant'] },
    },
  },
  roles: { 'orders-reader': [] },
  windows: {},
}

const sharedConfig = ({ tokens }: MeshParts, issuers: number) => {
  const trusted = {
    audiences: [audience],
    algorithms: ['ES256'],
    jwksFile: tokens.jwksFile,
    policyClaims: ['roles', 'tenant', 'scope'],
  }
  const others = Array.from({ length: issuers - 1 }, (_, i) => [
    `other-${i}`,
    { issuer: `https://issuer-${i}.bench`, ...trusted },
  ])
  return {
    version: 1,
    trustDomain,
    issuers: { bench: { issuer, ...trusted }, ...Object.fromEntries(others) },
    identities: [
      {
        name: 'people',
        issuer: 'bench',
        match: { tenant: 't1' },
        spiffeId: `spiffe://${trustDomain}/t1/people/{sub}`,
      },
    ],
  }
}

const readyWithinMs = 120_000
const pollMs = 10

type Starting = Pick<GatewayOptions, 'tree' | 'nodeOptions'> & {
  readonly core: number
  readonly folder: string
}

const start = async (
  kind: 'gateway' | 'exchange',
  file: string,
  adminPort: number,
  { core, folder, tree = ownTree, nodeOptions = [] }: Starting,
): Promise<Running> => {
  const output = outputOf(file)
  const command = [process.execPath, ...nodeOptions, programIn(tree), kind, file]
  const running = startOn(core, command, { output, folder })
  const until = performance.now() + readyWithinMs
  while (!(await isReady(adminPort))) {
    if (running.hasEnded() || performance.now() > until)
      throw new Error(`the ${kind} did not start; ${output} ends with:\n${endOf(output)}`)
    await new Promise((resolve) => setTimeout(resolve, pollMs))
  }
  return running
}

const outputOf = (configFile: string): string => `${configFile}.out`

/** Of a checkout, or of what was built from one. */
const programIn = (tree: string): string => {
  const built = join(tree, 'cli/sallyport.js')
  return existsSync(built) ? built : join(tree, 'cli/sallyport.ts')
}

const isReady = async (adminPort: number): Promise<boolean> => {
  try {
    return (await fetch(`http://127.0.0.1:${adminPort}/readyz`)).ok
  } catch {
    return false
  }
}
