import assert from 'node:assert/strict'
import type { RequestListener } from 'node:http'
import { Agent } from 'node:https'
import { after, suite, test } from 'node:test'
import { askAt, eventually, ids, meshRig, openRoute, type Gateway, type Service } from './rig.ts'

const rig = await meshRig()
after(rig.close)

const named =
  (name: string): RequestListener =>
  (_req, res) =>
    void res.end(name)
let gateways = 0
const gatewayTo = (endpoints: readonly unknown[], upstream: object = {}, route: object = {}) =>
  rig.gateway(`gateway-${(gateways += 1)}`, {
    upstreams: {
      service: { endpoints, spiffeId: ids.service, connectTimeoutMs: 20_000, ...upstream },
    },
    routes: [openRoute('a', '/', { policy: { requires: { public: true } }, ...route })],
  })
/** What so many requests were answered, one after the other. */
const answers = async (gateway: Gateway, count: number, options: object = {}) => {
  const counts: Record<string, number> = {}
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  for (let i = 0; i < count; i += 1) {
    const { status, text } = await askAt(gateway.port, gateway.ca, '/', { ...options, agent })
    const key = status === 200 ? text : String(status)
    counts[key] = (counts[key] ?? 0) + 1
  }
  agent.destroy()
  return counts
}
const stateOf = async (gateway: Gateway, { url }: Pick<Service, 'url'>) =>
  (await gateway.status()).upstreams['service']?.endpoints[url]?.state

suite('an endpoint that fails', () => {
  for (const [what, listener] of [
    ['answers 503', (_req, res) => void res.writeHead(503).end('sorry')],
    ['breaks off', (req) => void req.socket.destroy()],
  ] as const satisfies readonly (readonly [string, RequestListener])[])
    test(`and ${what} is left out after three failures; the other one serves`, async () => {
      const [well, ill] = [await rig.service(named('well')), await rig.service(listener)]
      const gateway = await gatewayTo([well.url, ill.url], {
        ejection: { afterFailures: 3, baseSeconds: 60 },
      })
      const counts = await answers(gateway, 40)
      assert.equal(counts['well'], 37)
      assert.equal(await stateOf(gateway, ill), 'ejected')
      assert.equal(await stateOf(gateway, well), 'available')
      assert.match(
        await gateway.metrics(),
        /sallyport_upstream_ejections_total\{upstream="service"\} 1/,
      )
      await gateway.close()
    })

  test('and hangs is a timeout, then left out', async () => {
    const [well, ill] = [await rig.service(named('well')), await rig.service(() => {})]
    const gateway = await gatewayTo([well.url, ill.url], {
      headersTimeoutMs: 3000, // also for the one that is well, on a machine that does much else
      ejection: { afterFailures: 1, baseSeconds: 60 },
    })
    const counts = await answers(gateway, 20)
    assert.deepEqual([counts['504'] ?? 0, counts['well']], [1, 19])
    await gateway.close()
  })

  test('and comes back gets requests again when its time is over', async () => {
    const well = await rig.service(named('well'))
    const dying = await rig.service(named('dying'))
    const gateway = await gatewayTo([well.url, dying.url], {
      ejection: { afterFailures: 1, baseSeconds: 1 },
    })
    assert.ok((await answers(gateway, 20))['dying'])
    await dying.close()
    const counts = await answers(gateway, 10)
    assert.ok((counts['502'] ?? 0) <= 2, JSON.stringify(counts))
    assert.equal((await gateway.status()).upstreams['service']?.inFlight, 0)
    await rig.service(named('back'), { port: dying.port })
    await eventually(async () => ((await answers(gateway, 4))['back'] ? true : undefined))
    await gateway.close()
  })

  test('and is somebody else gets nothing of a request', async () => {
    let heard = 0
    const impostor = await rig.service(() => (heard += 1), { svid: ids.impostor })
    const well = await rig.service(named('well'))
    const gateway = await gatewayTo([impostor.url, well.url], {
      ejection: { afterFailures: 2, baseSeconds: 60 },
    })
    const counts = await answers(gateway, 20)
    assert.deepEqual([counts['502'], counts['well'], heard], [2, 18, 0])
    await gateway.close()
  })
})

suite('retries', () => {
  const retries = { attempts: 1, budgetPercent: 100 }
  const noEjection = { afterFailures: 0 }
  const deadPort = async () => {
    const dead = await rig.service(() => {})
    await dead.close()
    return dead
  }

  test('send elsewhere what was not sent: a caller notices nothing of a dead endpoint', async () => {
    const [well, dead] = [await rig.service(named('well')), await deadPort()]
    const gateway = await gatewayTo([dead.url, well.url], { retries, ejection: noEjection })
    assert.deepEqual(await answers(gateway, 20), { well: 20 })
    const records = await eventually(() =>
      gateway.records().length === 20 ? gateway.records() : undefined,
    )
    assert.deepEqual(
      new Set(records.map(({ upstream }) => upstream?.endpoint)),
      new Set([well.url]),
    )
    assert.match(
      await gateway.metrics(),
      /sallyport_upstream_retries_total\{upstream="service",result="sent"\} [1-9]/,
    )
    await gateway.close()
  })

  test('are not made for POST, nor where they are off', async () => {
    const [well, dead] = [await rig.service(named('well')), await deadPort()]
    const gateway = await gatewayTo([dead.url, well.url], { retries, ejection: noEjection })
    const posted = await answers(gateway, 20, { method: 'POST' })
    assert.ok((posted['502'] ?? 0) > 0 && (posted['well'] ?? 0) > 0, JSON.stringify(posted))
    await gateway.close()
    const without = await gatewayTo([dead.url, well.url], { ejection: noEjection })
    assert.ok(((await answers(without, 20))['502'] ?? 0) > 0)
    await without.close()
  })

  test('are not made once something was sent', async () => {
    let heard = 0
    const breaks = await rig.service((req) => {
      heard += 1
      req.socket.destroy()
    })
    const other = await rig.service((req) => {
      heard += 1
      req.socket.destroy()
    })
    const gateway = await gatewayTo([breaks.url, other.url], { retries, ejection: noEjection })
    assert.deepEqual(await answers(gateway, 10), { '502': 10 })
    assert.equal(heard, 10)
    await gateway.close()
  })
})

suite('health checks', () => {
  test('take out an endpoint before a request meets it, and put it back', async () => {
    let isWell = true
    let met = 0
    const well = await rig.service(named('well'))
    const checked = await rig.service((req, res) => {
      if (req.url !== '/health') met += 1
      res.writeHead(isWell ? 200 : 500).end('checked')
    })
    const gateway = await gatewayTo([well.url, checked.url], {
      healthCheck: {
        path: '/health',
        intervalSeconds: 1,
        timeoutMs: 500,
        unhealthyAfter: 1,
        healthyAfter: 1,
      },
    })
    const state = (wanted: string) =>
      eventually(async () => ((await stateOf(gateway, checked)) === wanted ? true : undefined))
    assert.ok((await answers(gateway, 20))['checked'])
    isWell = false
    await state('unhealthy')
    const before = met
    assert.deepEqual(await answers(gateway, 20), { well: 20 })
    assert.equal(met, before)
    isWell = true
    await state('available')
    assert.ok((await answers(gateway, 20))['checked'])
    await gateway.close()
  })

  test('that fail everywhere take nothing out', async () => {
    const one = await rig.service(
      (req, res) => void res.writeHead(req.url === '/health' ? 500 : 200).end('one'),
    )
    const gateway = await gatewayTo([one.url], {
      healthCheck: { path: '/health', intervalSeconds: 1, timeoutMs: 500, unhealthyAfter: 1 },
    })
    await eventually(async () => ((await stateOf(gateway, one)) === 'unhealthy' ? true : undefined))
    assert.deepEqual(await answers(gateway, 5), { one: 5 })
    await gateway.close()
  })
})

suite('a service that has as much as it may', () => {
  test('lets some wait and refuses the others with a reason; nothing stays behind', async () => {
    const held: (() => void)[] = []
    const busy = await rig.service((_req, res) => void held.push(() => res.end('done')))
    const gateway = await gatewayTo([busy.url], {
      maxInFlight: 2,
      maxQueued: 2,
      queueTimeoutMs: 60_000,
    })
    const ask = () => askAt(gateway.port, gateway.ca, '/')
    const state = async () => (await gateway.status()).upstreams['service']
    const taken = Array.from({ length: 4 }, ask)
    await eventually(async () => ((await state())?.queued === 2 ? true : undefined))
    assert.equal((await state())?.inFlight, 2)
    const { status, headers } = await ask()
    assert.deepEqual([status, headers['x-sallyport-problem']], [503, 'upstream-busy'])
    assert.ok(held.length <= 2)
    const releasing = setInterval(() => held.shift()?.(), 10)
    const answers = await Promise.all(taken)
    clearInterval(releasing)
    assert.deepEqual(
      answers.map(({ text }) => text),
      ['done', 'done', 'done', 'done'],
    )
    const { inFlight, queued } = (await state()) ?? {}
    assert.deepEqual([inFlight, queued], [0, 0])
    await gateway.close()
  })
})

suite('a canary', () => {
  test('gets its share', async () => {
    const [stable, canary] = [
      await rig.service(named('stable')),
      await rig.service(named('canary')),
    ]
    const gateway = await gatewayTo([
      { url: stable.url, weight: 80 },
      { url: canary.url, weight: 20 },
    ])
    const counts = await answers(gateway, 200)
    assert.ok((counts['canary'] ?? 0) > 15 && (counts['canary'] ?? 0) < 75, JSON.stringify(counts))
    await gateway.close()
  })
})

suite('a name of an endpoint', () => {
  test('stands for its addresses, and the service still has to prove who it is', async () => {
    const byName = await rig.service(named('by name'))
    const url = byName.url.replace('127.0.0.1', 'localhost')
    const gateway = await gatewayTo([url])
    const endpoints = await eventually(async () => {
      const known = Object.keys((await gateway.status()).upstreams['service']?.endpoints ?? {})
      return known.includes(`${url} (127.0.0.1)`) ? known : undefined
    })
    assert.ok(endpoints.length >= 1)
    const counts = await answers(gateway, 4)
    assert.ok((counts['by name'] ?? 0) >= 1, JSON.stringify(counts))
    await gateway.close()
  })
})
