import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { parse, stringify } from 'yaml'
import type { DemoMesh } from '#cli/demo/mesh'
import { loadConfig } from '#config/load'
import { findTool, findToolData, without } from '../tools.ts'
import { runningMesh } from '../ways/running-mesh.ts'
import { runKeycloak } from './keycloak/running-keycloak.ts'
import { reloadGateway } from './reload-gateway.ts'

const keycloakHome = findToolData('keycloak-26.7.3/.built')?.replace(/\/\.built$/, '')
const skip = without({ 'keycloak-26.7.3': keycloakHome, java: findTool('java') })

const change = (file: string, how: (config: any) => void) => {
  const config: unknown = parse(readFileSync(file, 'utf8'))
  how(config)
  writeFileSync(file, stringify(config))
}

/** Teaches the files of the demo to trust Keycloak: its keys, its identities and where its roles are. */
const configure = (mesh: DemoMesh, issuer: string) => {
  change(mesh.files.shared, (config) => {
    config.issuers.keycloak = {
      issuer,
      audiences: ['https://api.demo'],
      algorithms: ['RS256'],
      policyClaims: ['realm_access'],
    }
    config.identities.push({
      name: 'keycloak-people',
      issuer: 'keycloak',
      match: { 'realm_access.roles': ['orders-reader', 'guest'] },
      spiffeId: 'spiffe://mesh.demo/keycloak/{preferred_username}',
    })
  })
  const data = JSON.parse(readFileSync(mesh.files.policyData, 'utf8'))
  data.issuers.keycloak = {
    roles: {
      claim: ['realm_access', 'roles'],
      names: { 'orders-reader': 'orders-reader', guest: 'guest' },
    },
  }
  // Another file, since the one before belongs to the configuration that still runs.
  const dataFile = join(mesh.files.folder, 'policy-data-2.json')
  writeFileSync(dataFile, JSON.stringify(data))
  change(mesh.files.gateway, (config) => {
    config.policy.dataFile = dataFile
    for (const route of config.routes)
      if (route.authenticate !== 'none') route.authenticate = { issuers: ['demo', 'keycloak'] }
  })
}

const faultsOf = async (kind: 'gateway' | 'exchange', file: string): Promise<readonly string[]> => {
  const loaded = await loadConfig(kind, file, {})
  return loaded.ok ? [] : loaded.faults.map(({ message }) => message)
}

const setUp = async () => {
  const keycloak = await runKeycloak(String(keycloakHome))
  after(keycloak.close)
  const mesh = await runningMesh()
  configure(mesh, keycloak.issuer)
  const faults = [
    ...(await faultsOf('gateway', mesh.files.gateway)),
    ...(await faultsOf('exchange', mesh.files.exchange)),
  ]
  for (const file of [mesh.files.gateway, mesh.files.exchange])
    change(file, (config) => (config.unsafe = { plainHttpIssuers: ['keycloak'] }))
  await mesh.killExchange()
  await mesh.restartExchange()
  await reloadGateway(mesh)
  return { mesh, keycloak, faults }
}

const running = skip.skip === undefined ? await setUp() : undefined

test(
  'that it speaks plain HTTP is a fault until it is said aloud, and then a warning',
  skip,
  () => {
    const { mesh, faults } = running!
    assert.equal(faults.length, 2, faults.join('\n'))
    for (const fault of faults) assert.match(fault, /keycloak.* over plain HTTP/)
    for (const name of ['gateway.log', 'exchange.log'])
      assert.match(
        readFileSync(join(mesh.files.folder, name), 'utf8'),
        /"level":40.*keycloak.* over plain HTTP/,
      )
  },
)

test('a token of Keycloak becomes a mesh identity, and its realm roles decide', skip, async () => {
  const { mesh, keycloak } = running!
  const alice = await mesh.caller.send({
    path: '/orders/7',
    token: await keycloak.tokenFor('alice'),
  })
  assert.equal(alice.status, 200, JSON.stringify(alice))
  assert.equal(
    (alice.body as { saw: { callerToken: string } }).saw.callerToken,
    'spiffe://mesh.demo/keycloak/alice',
  )
  const bob = await mesh.caller.send({ path: '/orders/7', token: await keycloak.tokenFor('bob') })
  assert.deepEqual([bob.status, bob.headers['x-sallyport-problem']], [403, 'policy-denied'])
})

const keyOf = (token: string) =>
  (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string })
    .kid

test('a new key of Keycloak loses not one valid request', skip, async () => {
  const { mesh, keycloak } = running!
  const before = await keycloak.tokenFor('alice')
  const statuses: number[] = []
  const send = async (token: string) => {
    statuses.push((await mesh.caller.send({ path: '/orders/8', token })).status)
  }
  const done = new AbortController()
  const traffic = (async () => {
    while (!done.signal.aborted) await send(await keycloak.tokenFor('alice'))
  })()
  await keycloak.rotateKeys()
  const afterwards = await Promise.all(Array.from({ length: 5 }, () => keycloak.tokenFor('alice')))
  await Promise.all([...afterwards, before, ...afterwards].map(send))
  done.abort()
  await traffic
  for (const token of afterwards) assert.notEqual(keyOf(token), keyOf(before), 'the key is the old')
  assert.ok(statuses.length > 11, 'nothing was sent meanwhile')
  assert.deepEqual(new Set(statuses), new Set([200]))
})
