import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { suite, test, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { loadConfig } from '#config/load'
import { loadBeside } from '#config/load-beside'
import { gateway, workspace } from './workspace.ts'

const manyRoutes = (count: number) =>
  `routes:\n${Array.from(
    { length: count },
    (_, i) =>
      `  - { id: r${i}, team: shop, match: { hosts: [a.example], path: { prefix: /r/${i} } }, authenticate: { issuers: [main] }, upstream: orders }\n`,
  ).join('')}`

const withSecret = (t: TestContext, routes?: string) =>
  workspace(t, {
    'gateway.yaml': gateway('limits: { store: { redis: { url: { file: redis-url } } } }\n', routes),
    'redis-url': 'redis://:hunter2@127.0.0.1\n',
  })

suite('a configuration that is loaded in a thread beside', () => {
  test('is the one that would be loaded here, and its secrets are not printed', async (t) => {
    const { at } = withSecret(t, manyRoutes(300))
    const file = at('gateway.yaml')
    const [here, beside] = [await loadConfig('gateway', file), await loadedBeside(file)]
    assert.ok(here.ok && beside?.ok, inspect(beside))
    assert.equal(JSON.stringify(beside), JSON.stringify(here))
    assert.equal(beside.config.routes.length, 300)
    const { redis } = beside.config.limits.store
    assert.equal(redis?.url.reveal(), 'redis://:hunter2@127.0.0.1')
    assert.ok(!inspect(beside, { depth: 9 }).includes('hunter2'))
    for (const part of [beside.config, beside.config.routes, beside.config.routes[299]?.match])
      assert.ok(Object.isFrozen(part))
  })

  test('says what is wrong with it, as it would be said here', async (t) => {
    const { at } = workspace(t, {
      'gateway.yaml': gateway().replace('upstream: orders\n', 'upstream: ordres\n'),
    })
    const file = at('gateway.yaml')
    const [here, beside] = [await loadConfig('gateway', file), await loadedBeside(file)]
    assert.equal(beside?.ok, false)
    assert.ok(!here.ok && here.faults.length > 0)
    assert.deepEqual(beside, here)
  })

  test('lets the event loop turn while it is read', async (t) => {
    const { at } = withSecret(t, manyRoutes(500))
    let turns = 0
    const timer = setInterval(() => (turns += 1), 1)
    t.after(() => clearInterval(timer))
    const { utilization } = await loopWhile(() => loadedBeside(at('gateway.yaml')))
    assert.ok(turns > 10, `${turns} turns`)
    assert.ok(utilization < 0.9, `the loop was busy for ${utilization} of the time`)
  })
})

suite('a thread that fails', () => {
  const faultOf = async (t: TestContext, options: { withinMs?: number; maxHeapMb?: number }) => {
    const { at } = withSecret(t, manyRoutes(3000))
    const files = [at('gateway.yaml')]
    const loaded = await loadBeside('gateway', at('gateway.yaml'), { files, ...options })
    assert.ok(loaded && !loaded.ok)
    assert.deepEqual(loaded.files, files)
    return loaded.faults.map(({ message }) => message).join()
  }

  test('by taking too long is a fault of the configuration', async (t) => {
    assert.equal(await faultOf(t, { withinMs: 1 }), 'it was not read within 0.001 s')
  })

  test('by wanting too much memory is one, too, and ends nobody else', async (t) => {
    assert.match(await faultOf(t, { maxHeapMb: 24 }), /takes more than 24 MB of memory/)
  })

  test('for nobody wants it any more gives nothing', async (t) => {
    const { at } = withSecret(t)
    const ending = new AbortController()
    const loading = loadBeside('gateway', at('gateway.yaml'), { files: [], signal: ending.signal })
    ending.abort()
    assert.equal(await loading, undefined)
    const none = loadBeside('gateway', at('gateway.yaml'), { files: [], signal: ending.signal })
    assert.equal(await none, undefined)
  })
})

const loadedBeside = (file: string) => loadBeside('gateway', file, { files: [] })

const loopWhile = async (work: () => Promise<unknown>) => {
  const before = performance.eventLoopUtilization()
  await work()
  return performance.eventLoopUtilization(before)
}
