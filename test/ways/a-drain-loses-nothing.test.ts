import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startLoad } from './load.ts'
import { askAt, eventually, meshRig, openRoute, recordsIn } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const service = await rig.service((req, res) => {
  if (req.url === '/a/never') return
  setTimeout(() => res.end('yes'), req.url === '/a/slow' ? 1500 : 5)
})

test('SIGTERM under load: not ready first, then every answer is the last on its connection, and none is lost', async () => {
  const gateway = await rig.gatewayProcess('gateway', {
    upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
    routes: [openRoute('a', '/a')],
    drainDelaySeconds: 3,
    drainSeconds: 3,
  })
  const { port, ca } = gateway
  const load = startLoad({ port, ca, path: '/a/1', callers: 12, pauseMs: 20 })
  await sleep(700)
  const slow = askAt(port, ca, '/a/slow')
  const never = askAt(port, ca, '/a/never')
  await sleep(200)
  assert.equal(await gateway.ready(), 200)
  const began = performance.now()
  const stopped = gateway.stop()
  void gateway.stop() // as when all of a service are told, and our launcher passes it on
  await eventually(async () => ((await gateway.ready()) === 503 ? true : undefined))
  const late = await askAt(port, ca, '/a/1')
  assert.deepEqual([late.status, late.headers['connection']], [200, 'close'])
  const answer = await slow
  assert.deepEqual([answer.status, answer.headers['connection']], [200, 'close'])
  await stopped
  const tookMs = performance.now() - began
  await load.stop()
  assert.deepEqual(load.lost, [])
  assert.deepEqual(Object.keys(load.statuses), ['200'])
  assert.ok(load.refused() > 0, 'it ended before the gateway did')
  assert.ok(tookMs >= 5900, `the slowest got ${tookMs} ms`)

  assert.equal((await never).headers['x-sallyport-problem'], 'draining')
  const records = recordsIn(gateway.auditFile)
  const answered = records.filter(({ request }) => request?.path === '/a/1')
  assert.equal(answered.length, load.answered() + 1)
  const cut = records.filter(({ request }) => request?.path === '/a/never')
  assert.deepEqual(
    cut.map(({ problem, status }) => [problem, status]),
    [['draining', 503]],
  )
  console.log(
    `  ${load.answered()} requests around a drain, ${load.refused()} connections refused after it`,
  )
})
