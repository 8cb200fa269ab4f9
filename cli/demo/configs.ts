import { mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Credentials } from './credentials.ts'
import type { DemoPorts } from './ports.ts'

export const trustDomain = 'mesh.demo'
export const audience = 'https://api.demo'
export const ids = {
  gateway: `spiffe://${trustDomain}/sallyport/gateway`,
  exchange: `spiffe://${trustDomain}/sallyport/exchange`,
  orders: `spiffe://${trustDomain}/ns/shop/sa/orders`,
  billing: `spiffe://${trustDomain}/ns/finance/sa/billing`,
  payments: `spiffe://${trustDomain}/ns/finance/sa/payments`,
  impostor: `spiffe://${trustDomain}/ns/evil/sa/impostor`,
} as const

/** Where everything of one demo is written. */
export type DemoFiles = ReturnType<typeof demoFiles>

export const demoFiles = (folder: string) => ({
  folder,
  shared: join(folder, 'shared.yaml'),
  gateway: join(folder, 'gateway.yaml'),
  exchange: join(folder, 'exchange.yaml'),
  policyData: join(folder, 'policy-data.json'),
  outsideRoot: join(folder, 'outside-ca.pem'),
  meshRoot: join(folder, 'keys/roots.pem'), // the exchange writes it
  ingressCertificate: join(folder, 'ingress.pem'),
  ingressKey: join(folder, 'ingress.key'),
  ordersSvid: join(folder, 'orders-svid.pem'), // its sidecar writes both
  ordersKey: join(folder, 'orders-svid.key'),
  gatewayAudit: join(folder, 'gateway-audit.jsonl'),
  exchangeAudit: join(folder, 'exchange-audit.jsonl'),
  joinToken: (name: string) => join(folder, `join-token-${name}`),
})

/** Writes the configurations, commented by their own keys, and what they name. */
export const writeConfigs = (
  files: DemoFiles,
  ports: DemoPorts,
  outsideRoot: string,
  ingress: Credentials,
): void => {
  mkdirSync(files.folder, { recursive: true })
  writeFileSync(files.outsideRoot, outsideRoot)
  writeFileSync(files.ingressCertificate, ingress.certificate)
  writeFileSync(files.ingressKey, ingress.privateKey, { mode: 0o600 })
  writeFileSync(files.policyData, JSON.stringify(policyData, undefined, 2))
  writeFileSync(files.shared, stringify(sharedConfig(files, ports)))
  writeFileSync(files.exchange, stringify(exchangeConfig(files, ports)))
  writeFileSync(files.gateway, stringify(gatewayConfig(files, ports)))
}

const policyData = {
  issuers: {
    demo: { roles: { claim: ['roles'], names: roleNames() }, tenant: { claim: ['tenant'] } },
  },
  roles: {
    'orders-writer': ['orders-reader'],
    'orders-reader': [],
    'billing-runner': [],
    guest: [],
  },
  windows: {},
}

function roleNames() {
  const names = ['orders-reader', 'orders-writer', 'billing-runner', 'guest']
  return Object.fromEntries(names.map((name) => [name, name]))
}

const sharedConfig = (files: DemoFiles, ports: DemoPorts) => ({
  version: 1,
  trustDomain,
  issuers: {
    demo: {
      issuer: `https://localhost:${ports.issuer}`,
      audiences: [audience],
      algorithms: ['ES256'],
      caFile: files.outsideRoot,
      policyClaims: ['roles', 'tenant'],
      skewSeconds: 2,
    },
  },
  identities: [
    {
      name: 'people',
      issuer: 'demo',
      match: { sub: ['alice', 'bob', 'carol'] },
      spiffeId: `spiffe://${trustDomain}/{tenant}/people/{sub}`,
    },
    {
      name: 'jobs',
      issuer: 'demo',
      match: { sub: 'billing-job' },
      spiffeId: `spiffe://${trustDomain}/{tenant}/jobs/{sub}`,
    },
  ],
})

const exchangeConfig = (files: DemoFiles, ports: DemoPorts) => ({
  include: ['shared.yaml'],
  spiffeId: ids.exchange,
  issuer: `https://localhost:${ports.exchange}`,
  listeners: {
    exchange: { port: ports.exchange, names: ['localhost', '127.0.0.1'] },
    admin: { port: ports.exchangeAdmin },
  },
  ca: { store: { directory: join(files.folder, 'keys') } },
  gateways: [ids.gateway],
  joinTokens: Object.entries({
    gateway: ids.gateway,
    orders: ids.orders,
    billing: ids.billing,
    impostor: ids.impostor,
  }).map(([name, spiffeId]) => ({ spiffeId, file: files.joinToken(name) })),
  audit: { file: files.exchangeAudit },
})

const gatewayConfig = (files: DemoFiles, ports: DemoPorts) => ({
  include: ['shared.yaml'],
  spiffeId: ids.gateway,
  identity: { source: 'exchange', joinTokenFile: files.joinToken('gateway') },
  exchange: {
    url: `https://localhost:${ports.exchange}`,
    spiffeId: ids.exchange,
    caFile: files.meshRoot,
    timeoutMs: 10_000, // all of it shares a machine that may be small
  },
  listeners: {
    ingress: {
      port: ports.ingress,
      tls: {
        certificates: [{ certificateFile: files.ingressCertificate, keyFile: files.ingressKey }],
      },
    },
    egress: {
      port: ports.egress,
      tls: {
        certificates: [{ certificateFile: files.ingressCertificate, keyFile: files.ingressKey }],
      },
    },
    admin: { port: ports.admin },
  },
  egress: {
    dns: { hosts: { localhost: ['127.0.0.1'] } },
    rules: [
      {
        id: 'orders',
        team: 'shop',
        workloads: [ids.orders],
        destinations: [{ hosts: ['localhost'], ports: [ports.issuer], opens: ['127.0.0.0/8'] }],
      },
    ],
  },
  limits: { address: { points: 2000, windowSeconds: 60 } },
  policy: {
    bundleFile: fileURLToPath(new URL('../../config/policy/bundle/bundle.tar.gz', import.meta.url)),
    dataFile: files.policyData,
  },
  audit: { file: files.gatewayAudit },
  upstreams: {
    orders: { endpoints: [`https://127.0.0.1:${ports.orders}`], spiffeId: ids.orders },
    billing: { endpoints: [`https://127.0.0.1:${ports.billing}`], spiffeId: ids.billing },
    payments: { endpoints: [`https://127.0.0.1:${ports.impostor}`], spiffeId: ids.payments },
  },
  routes: demoRoutes.map(({ path, ...route }) => ({
    ...route,
    match: { hosts: ['localhost'], path },
  })),
})

const authenticate = { issuers: ['demo'] }

/** What the demo serves. */
export const demoRoutes = [
  {
    id: 'orders',
    team: 'shop',
    path: { prefix: '/orders' },
    authenticate,
    waf: { overLimit: 'inspect-part' }, // uploads are larger than what the firewall looks at
    policy: { requires: { roles: { any: ['orders-reader'] } } },
    upstream: 'orders',
  },
  {
    id: 'tenant-orders',
    team: 'shop',
    path: { pattern: '/tenants/*/orders/**' },
    authenticate,
    policy: { requires: { roles: { any: ['orders-reader'] }, tenant: { segment: 1 } } },
    upstream: 'orders',
  },
  {
    id: 'billing',
    team: 'finance',
    path: { prefix: '/billing' },
    authenticate,
    policy: { requires: { roles: { any: ['billing-runner'] } } },
    upstream: 'billing',
  },
  {
    id: 'payments',
    team: 'finance',
    path: { prefix: '/payments' },
    authenticate,
    policy: { requires: { roles: { any: ['orders-reader'] } } },
    upstream: 'payments',
  },
  {
    id: 'reports',
    team: 'finance',
    path: { prefix: '/reports' },
    authenticate,
    limits: { caller: { points: 5, windowSeconds: 10 } },
    policy: { requires: { roles: { any: ['orders-reader'] } } },
    upstream: 'billing',
  },
  {
    id: 'catalogue',
    team: 'shop',
    path: { prefix: '/catalogue' },
    authenticate: 'none',
    policy: { requires: { public: true, methods: ['GET'] } },
    upstream: 'orders',
  },
] as const
