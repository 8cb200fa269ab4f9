import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:tls'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { needsRedis, startRedis } from '#test/ports/redis-server'
import { startLoad } from './load.ts'
import { askAt, eventually, meshRig, openRoute, recordsIn } from './rig.ts'

suite('several workers', needsRedis, async () => {
  if ('skip' in needsRedis) return
  const rig = await meshRig()
  after(rig.close)
  const redis = await startRedis()
  after(redis.stop)
  const service = await rig.service((_req, res) => void res.end('yes'))
  const limited = (id: string, prefix: string) =>
    openRoute(id, prefix, { limits: { route: { points: 5, windowSeconds: 3600 } } })
  const shared = {
    redis: { url: { file: rig.save('redis-url', `redis://127.0.0.1:${redis.port}`) } },
  }
  const given = {
    workers: 2,
    quarantine: shared,
    replay: shared,
    drainDelaySeconds: 1,
    upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
    routes: [openRoute('a', '/a'), limited('few', '/few')],
  }
  const gateway = await rig.gatewayProcess('gateway', given)
  const ask = (path: string) => askAt(gateway.port, gateway.ca, path)
  type Workers = readonly { readonly pid: number; readonly open: number }[]
  const workers = async () => ((await gateway.status()) as unknown as { workers: Workers }).workers
  const metric = async (pattern: RegExp) =>
    Number(pattern.exec(await gateway.metrics())?.[1] ?? Number.NaN)
  const counted = () =>
    metric(/^sallyport_requests_total\{[^}]*route="a"[^}]*outcome="forwarded"[^}]*\} (\d+)$/m)

  test('each of two workers gets connections, and the metrics are those of both', async () => {
    assert.equal((await workers()).length, 2)
    for (let i = 0; i < 20; i += 1) assert.equal((await ask('/a/1')).text, 'yes')
    await eventually(async () => ((await counted()) === 20 ? true : undefined)) // once each has ended
    assert.equal(await metric(/^sallyport_workers (\d+)$/m), 2)
    assert.equal(await gateway.ready(), 200)
  })

  test('a limit in memory is counted by each, as the warning at the start said', async () => {
    const statuses = []
    for (let i = 0; i < 14; i += 1) statuses.push((await ask('/few/1')).status)
    assert.equal(statuses.filter((status) => status === 200).length, 10)
  })

  test('a TLS session that one worker began is resumed by the other', async () => {
    const options = {
      host: '127.0.0.1',
      port: gateway.port,
      servername: 'localhost',
      ca: gateway.ca,
    }
    const first = connect(options)
    first.write('GET /a/1 HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n')
    const [session] = (await once(first, 'session')) as [Buffer]
    first.destroy()
    const reused = []
    for (let i = 0; i < 4; i += 1) {
      const again = connect({ ...options, session })
      await once(again, 'secureConnect')
      reused.push(again.isSessionReused())
      again.destroy()
    }
    assert.deepEqual(reused, [true, true, true, true])
  })

  test('under load a reload is taken by all or none, a worker that dies is replaced, and what it counted stays', async () => {
    const load = startLoad({
      port: gateway.port,
      ca: gateway.ca,
      path: '/a/1',
      callers: 8,
      pauseMs: 15,
    })
    const revisions = async () => (await gateway.status()).config
    const before = await revisions()
    gateway.write({ ...given, routes: [...given.routes, openRoute('new', '/new')] })
    gateway.hangUp()
    await eventually(async () =>
      (await revisions()).revision === before.revision ? undefined : true,
    )
    for (let i = 0; i < 6; i += 1) assert.equal((await ask('/new')).status, 200)

    // It can be read, and only a worker finds that it cannot be used.
    const good = await revisions()
    writeFileSync(rig.at('broken.tar.gz'), 'no bundle')
    gateway.write({ ...given, policy: { bundleFile: rig.at('broken.tar.gz') } })
    gateway.hangUp()
    await eventually(async () => (await revisions()).lastFault)
    assert.equal((await revisions()).revision, good.revision)
    for (let i = 0; i < 6; i += 1) assert.equal((await ask('/new')).status, 200)
    assert.deepEqual(load.lost, [])
    assert.deepEqual(Object.keys(load.statuses), ['200'])
    await load.stop()

    const sum = await counted()
    const [victim] = await workers()
    process.kill(victim!.pid, 'SIGKILL')
    await eventually(async () => {
      const now = await workers()
      return now.length === 2 && now.every(({ pid }) => pid !== victim!.pid) ? true : undefined
    }, 120_000)
    assert.ok((await counted()) >= sum, 'a counter went down')
    assert.equal(await metric(/^sallyport_workers_lost_total (\d+)$/m), 1)
    for (let i = 0; i < 6; i += 1) assert.equal((await ask('/new')).status, 200)
  })

  test('an order at the one admin listener holds for all of them, is recorded once, and can be taken back', async () => {
    const order = (method: string, path: string, body: object) =>
      fetch(`${gateway.adminUrl}/quarantine${path}`, {
        method,
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      })
    const who = { actor: 'alice@example.test', reason: 'a test' }
    const added = await order('POST', '', { by: { kind: 'address', network: '127.0.0.1' }, ...who })
    assert.equal(added.status, 201, await added.clone().text())
    const { entry } = (await added.json()) as { entry: { id: string } }
    const statuses = async () =>
      (await Promise.all(Array.from({ length: 6 }, () => ask('/a/1')))).map(({ status }) => status)
    await eventually(async () =>
      (await statuses()).every((status) => status === 403) ? true : undefined,
    )
    const records = () => recordsIn(gateway.auditFile).filter(({ kind }) => kind === 'admin')
    await eventually(() => (records().length > 0 ? true : undefined))
    assert.deepEqual(
      records().map(({ outcome, orderedBy }) => [outcome, orderedBy]),
      [['answered', 'alice@example.test']],
    )
    assert.equal((await order('DELETE', `/${entry.id}`, who)).status, 200)
    await eventually(async () =>
      (await statuses()).every((status) => status === 200) ? true : undefined,
    )
  })

  test('a drain loses nothing, and every answer has its record', async () => {
    gateway.write(given)
    const load = startLoad({
      port: gateway.port,
      ca: gateway.ca,
      path: '/a/drain',
      callers: 8,
      pauseMs: 5,
    })
    await eventually(() => (load.answered() > 200 ? true : undefined))
    await gateway.stop()
    await load.stop()
    assert.deepEqual(load.lost, [])
    assert.deepEqual(Object.keys(load.statuses), ['200'])
    const records = recordsIn(gateway.auditFile).filter(
      ({ request }) => request?.path === '/a/drain',
    )
    assert.equal(records.length, load.answered())
    assert.equal(new Set(records.map(({ decisionId }) => decisionId)).size, load.answered())
  })
})
