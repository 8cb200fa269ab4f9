// Certificates for inspected hosts: asked for once, renewed ahead, and never done without.
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { createSecureContext } from 'node:tls'
import { noLog, noMeter } from '#contract/telemetry'
import { leafCache } from '#gateway/egress/inspection/leaf-cache'
import type { Leaf } from '#gateway/egress/inspection/request-leaf'
import { bad, good, type Outcome } from '#identity/outcome'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates, refusalOf } from './rig.ts'

const hourMs = 3_600_000
const context = createSecureContext()

const cacheOf = (maxHosts = 10) => {
  let nowMs = 0
  let isDown = false
  const asked: string[] = []
  const waiting: (() => void)[] = []
  const cache = leafCache({
    request: (host) => {
      asked.push(host)
      return new Promise<Outcome<Leaf>>((resolve) =>
        waiting.push(() =>
          resolve(
            isDown
              ? bad('no exchange')
              : good({ context, notBeforeMs: nowMs, notAfterMs: nowMs + 24 * hourMs }),
          ),
        ),
      )
    },
    maxHosts: () => maxHosts,
    clock: () => nowMs,
    uptimeMs: () => nowMs,
    meter: noMeter,
    log: noLog,
  })
  const answerAll = async () => {
    for (const answer of waiting.splice(0)) answer()
    await new Promise((resolve) => setImmediate(resolve))
  }
  return {
    asked,
    answerAll,
    pass: (ms: number) => (nowMs += ms),
    down: (down: boolean) => (isDown = down),
    of: async (host: string) => {
      const soon = Promise.resolve(cache.of(host))
      await answerAll()
      return soon
    },
    ask: (host: string) => Promise.resolve(cache.of(host)),
  }
}

suite('the cache of certificates for inspected hosts', () => {
  test('asks once for many at one time', async () => {
    const { ask, asked, answerAll } = cacheOf()
    const all = Promise.all(Array.from({ length: 50 }, () => ask('api.test')))
    await answerAll()
    assert.ok((await all).every(({ ok }) => ok))
    assert.deepEqual(asked, ['api.test'])
  })
  test('renews when a third of the life is left, and serves the last one meanwhile', async () => {
    const { of, ask, asked, pass, answerAll } = cacheOf()
    await of('api.test')
    pass(15 * hourMs)
    await of('api.test')
    assert.equal(asked.length, 1)
    pass(2 * hourMs)
    assert.ok((await ask('api.test')).ok) // without waiting for the answer
    assert.equal(asked.length, 2)
    await answerAll()
    pass(20 * hourMs)
    assert.ok((await ask('api.test')).ok)
  })
  test('goes on without the exchange until the end of a certificate, and no further', async () => {
    const { of, asked, pass, down } = cacheOf()
    await of('api.test')
    down(true)
    pass(23 * hourMs)
    assert.ok((await of('api.test')).ok)
    assert.equal(asked.length, 2, 'it has tried')
    pass(2 * hourMs)
    const refused = await of('api.test')
    assert.ok(!refused.ok && refused.problem.tag === 'inspection-unavailable')
    down(false)
    pass(2000)
    assert.ok((await of('api.test')).ok)
  })
  test('a failure is not asked about again at once, and no other host waits for it', async () => {
    const { of, asked, pass, down } = cacheOf()
    down(true)
    await of('api.test')
    await of('api.test')
    assert.equal(asked.length, 1)
    down(false)
    assert.ok((await of('other.test')).ok)
    pass(1001)
    assert.ok((await of('api.test')).ok)
  })
  test('keeps as many as it may, and forgets those not asked for longest', async () => {
    const { of, asked } = cacheOf(2)
    for (const host of ['a', 'b', 'a', 'c', 'a']) await of(host)
    assert.deepEqual(asked, ['a', 'b', 'c'])
    await of('b')
    assert.equal(asked.length, 4)
  })
  test('asks for no more than 32 hosts at one time', async () => {
    const { ask, asked, answerAll } = cacheOf(100)
    const all = Promise.all(Array.from({ length: 40 }, (_, i) => ask(`n${i}.test`)))
    await answerAll()
    assert.equal((await all).filter(({ ok }) => ok).length, 32)
    assert.equal(asked.length, 32)
  })
})

test('while the exchange is away known hosts are inspected on, and nobody gets to others', async () => {
  const certs = certificates()
  const destination = await runDestination(certs.outside('DNS:a.test, DNS:b.test'), (_req, res) =>
    res.end('hello'),
  )
  const rig = await runInspectionRig(certs, ['a.test', 'b.test'], {
    rules: [
      {
        id: 'shop',
        destinations: [
          {
            hosts: ['a.test', 'b.test'],
            ports: [destination.port],
            protocol: 'tls-inspected',
            opens: ['127.0.0.0/8'],
          },
        ],
      },
    ],
  })
  for (const name of ['a.test', 'b.test']) rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])
  const get = async () => {
    const place = `a.test:${destination.port}`
    const wire = await rig.inside(place)
    wire.write(`GET / HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
    const { status } = await wire.answer()
    wire.destroy()
    return status
  }
  assert.equal(await get(), 200)
  await rig.stopExchange()
  assert.equal(await get(), 200)
  const { answer } = await rig.connect(`b.test:${destination.port}`)
  assert.equal(refusalOf(answer), '503 inspection-unavailable')
})
