import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { startLoad } from './load.ts'
import { askAt, eventually, meshRig, openRoute, recordsIn } from './rig.ts'

const rig = await meshRig()
after(rig.close)
let streamed = 0
const service = await rig.service((req, res) => {
  if (req.url !== '/a/stream') return void res.end('yes')
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => res.write(`data: ${(streamed += 1)}\n\n`), 20)
  res.once('close', () => clearInterval(timer))
})
const given = {
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [openRoute('a', '/a', { totalTimeoutMs: 0 })],
}
const gateway = await rig.gatewayProcess('gateway', given)
const ask = (path: string) => askAt(gateway.port, gateway.ca, path)
const loads = async () => (await gateway.status()).config.loads
const reloaded = async (than: number) =>
  eventually(async () => ((await loads()) > than ? true : undefined))

test('reloads under load, rotated records and renewed certificates lose no request', async () => {
  const stream = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: '/a/stream',
    headers: { host: 'localhost' },
    agent: false,
  }).end()
  const [events] = (await once(stream, 'response')) as [IncomingMessage]
  let received = 0
  events.on('data', () => (received += 1))

  const load = startLoad({
    port: gateway.port,
    ca: gateway.ca,
    path: '/a/1',
    callers: 12,
    pauseMs: 8,
  })
  const began = performance.now()
  for (let i = 0; i < 4; i += 1) {
    const before = await loads()
    gateway.write({ ...given, routes: [...given.routes, openRoute(`new-${i}`, `/new/${i}`)] })
    if (i === 2) renameSync(gateway.auditFile, `${gateway.auditFile}.1`)
    if (i === 3) {
      const { certificate, privateKey } = await rig.outside.issue('renewed')
      writeFileSync(rig.ingressFiles.certificateFile, certificate)
      writeFileSync(rig.ingressFiles.keyFile, privateKey)
    }
    gateway.hangUp()
    await reloaded(before)
    assert.equal((await ask(`/new/${i}`)).text, 'yes')
    await sleep(300)
  }
  await load.stop()
  const perSecond = Math.round((load.answered() / (performance.now() - began)) * 1000)
  console.log(`  ${load.answered()} requests, ${perSecond} a second, 4 reloads`)

  assert.deepEqual(load.lost, [])
  assert.deepEqual(Object.keys(load.statuses), ['200'])
  const soFar = received
  await eventually(() => (received > soFar + 2 ? true : undefined))
  stream.destroy()
  await eventually(async () => ((await gateway.status()).open === 0 ? true : undefined))
  const counted = () =>
    [gateway.auditFile, `${gateway.auditFile}.1`].flatMap((file) =>
      recordsIn(file).filter(({ request }) => request?.path === '/a/1'),
    )
  await eventually(() => (counted().length >= load.answered() ? true : undefined))
  assert.equal(counted().length, load.answered())
  assert.equal(new Set(counted().map(({ decisionId }) => decisionId)).size, load.answered())
  assert.ok(recordsIn(gateway.auditFile).length > 0, 'the file was not opened anew')
})

const serialServed = async () => {
  const socket = connect({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
  })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  socket.destroy()
  return serialNumber
}

test('certificates that are replaced one by one are served by themselves once both are there', async () => {
  const before = await serialServed()
  const { certificate, privateKey } = await rig.outside.issue('again')
  writeFileSync(rig.ingressFiles.certificateFile, certificate)
  await sleep(100)
  assert.equal(await serialServed(), before)
  writeFileSync(rig.ingressFiles.keyFile, privateKey)
  await eventually(async () => ((await serialServed()) === before ? undefined : true), 60_000)
})

test('a configuration with a fault changes nothing, and says so in status and metrics until it is mended', async () => {
  const good = readFileSync(gateway.file, 'utf8')
  const before = await gateway.status()
  writeFileSync(gateway.file, good.replace('upstream: service', 'upstream: nobody'))
  gateway.hangUp()
  const { lastFault } = await eventually(async () => {
    const { config } = await gateway.status()
    return config.lastFault ? config : undefined
  })
  assert.match(lastFault?.faults.join('\n') ?? '', /gateway\.yaml:\d+:\d+: .*nobody/)
  assert.equal((await gateway.status()).config.revision, before.config.revision)
  assert.equal((await ask('/a/1')).status, 200)
  assert.match(await gateway.metrics(), /^sallyport_config_last_reload_ok 0$/m)

  writeFileSync(gateway.file, good) // nobody is told: it is seen
  await eventually(
    async () => ((await gateway.status()).config.lastFault ? undefined : true),
    60_000,
  )
  const text = await gateway.metrics()
  assert.match(text, /^sallyport_config_last_reload_ok 1$/m)
  assert.match(text, /^sallyport_config_reloads_total\{result="failed"\} [1-9]/m)
})

test('what only a restart can change is named, and all else is changed', async () => {
  const before = await loads()
  gateway.write({
    ...given,
    routes: [...given.routes, openRoute('after', '/after')],
    listeners: { ingress: { port: 1, limits: { maxConnections: 5 } } },
  })
  gateway.hangUp()
  await reloaded(before)
  assert.deepEqual((await gateway.status()).config.needsRestart, [
    'listeners.ingress.port',
    'listeners.ingress.limits',
  ])
  assert.equal((await ask('/after')).text, 'yes')
})
