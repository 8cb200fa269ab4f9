import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { TestContext } from 'node:test'
import { checkConfigs, formatFault } from '#config/load'

const tlsFixtures = join(import.meta.dirname, '../fixtures/tls')

/** A folder with the files of a test and some certificates in `tls/`, gone when the test ends. */
export const workspace = (t: TestContext, files: Readonly<Record<string, string>>) => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-config-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const at = (name: string) => join(directory, name)
  cpSync(tlsFixtures, at('tls'), { recursive: true })
  writeFileSync(at('bundle.tar.gz'), 'a bundle')
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(at(name)), { recursive: true })
    writeFileSync(at(name), text)
  }
  return {
    at,
    /** What `check` says, one string a fault, without the path of the folder. */
    check: async (names: readonly string[], environment: Readonly<Record<string, string>> = {}) => {
      const checked = await checkConfigs(names.map(at), { environment })
      const lines = (which: 'faults' | 'warnings') =>
        checked.flatMap((one) =>
          one[which].map((fault) => formatFault(fault).replaceAll(`${directory}/`, '')),
        )
      return { faults: lines('faults'), warnings: lines('warnings') }
    },
  }
}

export const shared = `version: 1
trustDomain: mesh.example
issuers:
  main:
    issuer: https://login.example
    audiences: [api]
identities:
  - name: people
    issuer: main
    spiffeId: spiffe://mesh.example/people/{sub}
`

/** The smallest gateway, with `routes` and whatever else at its end. */
export const gateway = (
  more = '',
  routes = someRoutes,
) => `${shared}spiffeId: spiffe://mesh.example/gateway
identity: { source: exchange, joinTokenFile: join }
exchange: { url: https://127.0.0.1:8444, spiffeId: spiffe://mesh.example/exchange, caFile: ca.pem }
listeners:
  ingress:
    tls: { certificates: [{ certificateFile: tls/server.pem, keyFile: tls/server.key.pem }] }
policy: { bundleFile: bundle.tar.gz }
upstreams:
  orders: { endpoints: ['https://127.0.0.1:9001'], spiffeId: spiffe://mesh.example/orders }
${routes}${more}`

const someRoutes = `routes:
  - id: orders
    team: shop
    match: { hosts: [api.example], path: { prefix: /orders } }
    authenticate: { issuers: [main] }
    upstream: orders
`

export const exchange = (more = '') => `${shared}spiffeId: spiffe://mesh.example/exchange
issuer: https://exchange.example
listeners:
  exchange: { port: 8444 }
gateways: [spiffe://mesh.example/gateway]
joinTokens: [{ spiffeId: spiffe://mesh.example/gateway, file: join }]
${more}`
