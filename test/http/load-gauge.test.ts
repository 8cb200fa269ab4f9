import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadGauge, type LoadLimits } from '#http/load-gauge'

const noLimits: LoadLimits = { maxEventLoopDelayMs: 0, maxMemoryBytes: 0, maxInFlight: 0 }
const until = async (probe: () => boolean, act: () => void = () => {}) => {
  const deadline = performance.now() + 5000
  while (!probe() && performance.now() < deadline) {
    act()
    await sleep(5)
  }
  assert.ok(probe())
}
const busyFor = (ms: number) => {
  const end = performance.now() + ms
  while (performance.now() < end);
}

suite('a process', () => {
  test('whose event loop is late refuses, until it no longer is', async (t) => {
    const gauge = loadGauge({ ...noLimits, maxEventLoopDelayMs: 40 }, () => 0)
    t.after(gauge.stop)
    assert.ok(gauge.guard().ok)
    await until(
      () => !gauge.guard().ok,
      () => busyFor(100),
    )
    const refusal = gauge.guard()
    assert.ok(!refusal.ok)
    assert.equal(refusal.problem.tag, 'overloaded')
    assert.deepEqual(refusal.problem.headers, { 'retry-after': '1' })
    assert.match(String(refusal.problem.cause), /event loop is \d+ ms late, allowed are 40/)
    await until(() => gauge.guard().ok)
  })

  test('that has too much memory in use refuses', async (t) => {
    const gauge = loadGauge({ ...noLimits, maxMemoryBytes: 1 }, () => 0)
    t.after(gauge.stop)
    await until(() => !gauge.guard().ok)
    assert.ok(gauge.load().memoryBytes > 1)
  })

  test('with too many requests under way refuses at once', (t) => {
    let inFlight = 10
    const gauge = loadGauge({ ...noLimits, maxInFlight: 10 }, () => inFlight)
    t.after(gauge.stop)
    assert.ok(gauge.guard().ok)
    inFlight = 11
    assert.equal(gauge.guard().ok, false)
  })

  test('without limits never refuses', async (t) => {
    const gauge = loadGauge(noLimits, () => 1e9)
    t.after(gauge.stop)
    await sleep(600)
    assert.ok(gauge.guard().ok)
  })
})
