import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { parse, stringify } from 'yaml'
import type { DemoMesh } from '#cli/demo/mesh'
import { findTool, findToolData, without } from '../tools.ts'
import { runningMesh } from '../ways/running-mesh.ts'
import { runKeycloak } from './keycloak/running-keycloak.ts'

const keycloakHome = findToolData('keycloak-26.7.3')
const skip = without({ 'keycloak-26.7.3': keycloakHome, java: findTool('java') })

/** Teaches the running demo to trust Keycloak: both files, its identities and where its roles are. */
const trust = async (mesh: DemoMesh, issuer: string) => {
  const change = (file: string, how: (config: any) => void) => {
    const config: unknown = parse(readFileSync(file, 'utf8'))
    how(config)
    writeFileSync(file, stringify(config))
  }
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
  // It speaks plain HTTP here, which has to be said aloud.
  for (const file of [mesh.files.gateway, mesh.files.exchange])
    change(file, (config) => (config.unsafe = { plainHttpIssuers: ['keycloak'] }))
  change(mesh.files.gateway, (config) => {
    for (const route of config.routes)
      if (route.authenticate !== 'none') route.authenticate = { issuers: ['demo', 'keycloak'] }
  })
  const data = JSON.parse(readFileSync(mesh.files.policyData, 'utf8'))
  data.issuers.keycloak = {
    roles: {
      claim: ['realm_access', 'roles'],
      names: { 'orders-reader': 'orders-reader', guest: 'guest' },
    },
  }
  // Another file, since the one before belongs to the configuration that still runs.
  const policyData = join(mesh.files.folder, 'policy-data-2.json')
  writeFileSync(policyData, JSON.stringify(data))
  change(mesh.files.gateway, (config) => (config.policy.dataFile = policyData))
  await mesh.killExchange()
  await mesh.restartExchange()
  process.kill(mesh.pids().gateway, 'SIGHUP')
  await sleep(2000)
}

const setUp = async () => {
  const mesh = await runningMesh()
  const keycloak = await runKeycloak(String(keycloakHome))
  after(keycloak.close)
  await trust(mesh, keycloak.issuer)
  return { mesh, keycloak }
}

const running = skip.skip === undefined ? await setUp() : undefined

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

test('a new key of Keycloak loses not one valid request', skip, async () => {
  const { mesh, keycloak } = running!
  const before = await keycloak.tokenFor('alice')
  await keycloak.rotateKeys()
  const after = await Promise.all(Array.from({ length: 5 }, () => keycloak.tokenFor('alice')))
  const kid = (token: string) =>
    (JSON.parse(Buffer.from(token.split('.')[0]!, 'base64url').toString()) as { kid: string }).kid
  assert.notEqual(kid(before), kid(after[0]!), 'the key did not change')
  const answers = await Promise.all(
    [...after, before, ...after].map((token) => mesh.caller.send({ path: '/orders/8', token })),
  )
  assert.deepEqual(
    answers.map(({ status }) => status),
    answers.map(() => 200),
  )
})

test('that it speaks plain HTTP is a warning at start', skip, () => {
  const { mesh } = running!
  for (const name of ['gateway.log', 'exchange.log'])
    assert.match(
      readFileSync(join(mesh.files.folder, name), 'utf8'),
      /may be fetched over plain HTTP/,
    )
})
