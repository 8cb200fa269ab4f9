import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { exportJWK, SignJWT } from 'jose'
import { parse, stringify } from 'yaml'
import { audience, demoFiles, ids, writeConfigs } from '#cli/demo/configs'
import { outsideCa } from '#cli/demo/outside-ca'
import { callerOf } from '#cli/demo/request'
import { startService } from '#cli/demo/service'
import type { SpiffeId } from '#contract/spiffe-id'
import { noLog } from '#contract/telemetry'
import { freePorts } from './running-mesh.ts'

const root = join(import.meta.dirname, '../..')
const folder = mkdtempSync(join(tmpdir(), 'sallyport-built-'))
const ending: (() => Promise<void>)[] = []
after(async () => {
  for (const end of ending.reverse()) await end()
  rmSync(folder, { recursive: true })
})
const built = join(folder, 'package')
const command = join(built, 'cli/sallyport.js')

type Ended = { readonly code: number; readonly stdout: string; readonly stderr: string }
const run = (...args: readonly string[]): Promise<Ended> =>
  new Promise((resolve) => {
    const child = execFile(process.execPath, args, { cwd: folder }, (_error, stdout, stderr) =>
      resolve({ code: child.exitCode ?? -1, stdout, stderr }),
    )
  })

const build = await run(join(root, 'build.ts'), '--into', built)
assert.equal(build.code, 0, build.stdout + build.stderr)
// It lies alone in a folder of the system: whatever it needs has to be in it.
const { version } = JSON.parse(readFileSync(join(built, 'package.json'), 'utf8')) as {
  readonly version: string
}

/** Starts `sallyport KIND FILE` of the package, until the tests of the file end. */
const start = async (kind: string, file: string, adminPort: number): Promise<number> => {
  const child = spawn(process.execPath, [command, kind, file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (said = (said + chunk.toString()).slice(-3000)))
  const ended = once(child, 'exit')
  ending.push(async () => {
    child.kill('SIGTERM')
    assert.deepEqual(await ended, [0, null], said)
  })
  const until = performance.now() + 60_000
  while (performance.now() < until && child.exitCode === null) {
    const answer = await fetch(`http://127.0.0.1:${adminPort}/readyz`).catch(() => undefined)
    if (answer?.ok) return child.pid ?? 0
    await sleep(50)
  }
  throw new Error(`the ${kind} did not start:\n${said}`)
}

test('the package has what its commands read, and says its version', async () => {
  assert.equal((await run(command, '--version')).stdout, `${version}\n`)
  const base = String((await freePorts()).ingress)
  const { code, stderr } = await run(command, 'demo', '--once', '--port-base', base)
  assert.equal(code, 1)
  assert.match(stderr, /it needs a checkout of the sources/)
})

test('no function is named anew whenever it is made', () => {
  const chunks = readdirSync(join(built, 'chunks')).filter((file) => file.endsWith('.js'))
  assert.ok(chunks.length > 20)
  for (const file of chunks)
    assert.doesNotMatch(readFileSync(join(built, 'chunks', file), 'utf8'), /\b__name\(/, file)
})

test('each of its files finds what it needs, but for the demo', async () => {
  const chunks = join(built, 'chunks')
  const script = `
    const files = require('node:fs').readdirSync(${JSON.stringify(chunks)})
    const failed = []
    const load = async (file) => {
      try { await import(${JSON.stringify(`${chunks}/`)} + file) } catch (fault) { failed.push(fault.message) }
    }
    const code = files.filter((file) => file.endsWith('.js'))
    Promise.all(code.map(load)).then(() => {
      console.log(JSON.stringify({ count: code.length, failed }))
      process.exit()
    })`
  const { stdout, stderr } = await run('-e', script)
  const { count, failed } = JSON.parse(stdout || 'null') as { count: number; failed: string[] }
  assert.ok(count > 50, stdout + stderr)
  assert.equal(failed.length, 1, stdout)
  assert.match(failed[0] ?? '', /oidc-provider/)
})

test('gateway and exchange of the package serve a caller, each with what the other gives', async () => {
  const ports = await freePorts()
  const files = demoFiles(folder)
  const outside = await outsideCa()
  writeConfigs(files, ports, outside.root, await outside.issue('gateway'))
  // An issuer whose keys lie in a file, and the policy that came with the package.
  const idp = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...(await exportJWK(idp.publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }
  writeFileSync(join(folder, 'jwks.json'), JSON.stringify({ keys: [jwk] }))
  const shared = parse(readFileSync(files.shared, 'utf8'))
  delete shared.issuers.demo.caFile
  shared.issuers.demo.jwksFile = 'jwks.json'
  writeFileSync(files.shared, stringify(shared))
  const gateway = parse(readFileSync(files.gateway, 'utf8'))
  gateway.policy.bundleFile = join(built, 'config/policy/bundle/bundle.tar.gz')
  writeFileSync(files.gateway, stringify(gateway))

  await start('exchange', files.exchange, ports.exchangeAdmin)
  const service = await startService({
    name: 'orders',
    spiffeId: ids.orders as SpiffeId,
    port: ports.orders,
    exchange: {
      url: `https://localhost:${ports.exchange}`,
      spiffeId: ids.exchange as SpiffeId,
      caFile: files.meshRoot,
    },
    joinTokenFile: files.joinToken('orders'),
    admits: ids.gateway as SpiffeId,
    log: noLog,
  })
  ending.push(service.close)
  const pid = await start('gateway', files.gateway, ports.admin)
  const caller = callerOf(`https://localhost:${ports.ingress}`, outside.root)
  ending.push(caller.close)

  const token = await new SignJWT({ tenant: 'acme', roles: ['orders-reader'] })
    .setProtectedHeader({ alg: 'ES256', kid: 'k1', typ: 'at+jwt' })
    .setIssuer(`https://localhost:${ports.issuer}`)
    .setAudience(audience)
    .setSubject('alice')
    .setIssuedAt()
    .setExpirationTime('5m')
    .sign(idp.privateKey)
  const answer = await caller.send({ path: '/orders/7', token })
  assert.equal(answer.status, 200, JSON.stringify(answer))
  const { saw } = answer.body as { saw: { callerToken: string; peerCertificate: string } }
  assert.equal(saw.callerToken, 'spiffe://mesh.demo/acme/people/alice')
  const attack = encodeURIComponent("1' UNION SELECT password FROM users--")
  const refused = await caller.send({ path: `/orders/7?note=${attack}`, token })
  assert.equal(refused.headers['x-sallyport-problem'], 'attack-suspected')

  // Read in a thread, whose file has to be where it looks for it.
  const reloads = async () => {
    const status = await fetch(`http://127.0.0.1:${ports.admin}/status`)
    const { config } = (await status.json()) as { config: { loads: number; lastFault?: object } }
    return config
  }
  const before = (await reloads()).loads
  process.kill(pid, 'SIGHUP')
  const until = performance.now() + 60_000
  while ((await reloads()).loads === before && performance.now() < until) await sleep(50)
  const after = await reloads()
  assert.ok(after.loads > before && after.lastFault === undefined, JSON.stringify(after))
})
