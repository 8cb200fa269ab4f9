import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import type { Quota } from '#contract/quota'
import { noMeter, type Meter } from '#contract/telemetry'
import { rateLimit, type RateLimitParts } from '#plugins/rate-limit/guard'
import { memoryStore } from '#plugins/rate-limit/memory'
import { quotaHeaders } from '#plugins/rate-limit/quota'

type Request = { readonly address: string }

const guardOf = (parts: Partial<RateLimitParts<Request>> = {}) => {
  const store = memoryStore({ slots: 1024 }, { clock: systemClock, randomBytes: systemRandomBytes })
  return rateLimit<Request>({
    bucket: store.bucket({ name: 'address', points: 2, windowSeconds: 60 }),
    limit: 'address',
    mode: 'enforce',
    key: ({ address }) => address,
    meter: noMeter,
    ...parts,
  })
}
const askTimes = async (guard: ReturnType<typeof guardOf>, times: number) => {
  const results = []
  for (let i = 0; i < times; i++) results.push(await guard({ address: '192.0.2.1' }))
  return results
}

/** Counts by labels, so that a test sees what a scrape would. */
const countingMeter = () => {
  const counts: Record<string, number> = {}
  const counter: Meter['counter'] =
    (_, labels) =>
    (by = 1) => {
      const key = Object.values(labels).join(' ')
      counts[key] = (counts[key] ?? 0) + by
    }
  return { counts, meter: { ...noMeter, counter } }
}

suite('rate limit', () => {
  test('a request within the limit learns what is left', async () => {
    const [result] = await askTimes(guardOf(), 1)
    assert.deepEqual(result, {
      ok: true,
      value: {
        name: 'address',
        mode: 'enforce',
        limit: 2,
        windowSeconds: 60,
        remaining: 1,
        resetSeconds: 60,
      },
    })
  })

  test('a request over the limit is refused and told when to come back', async () => {
    const result = (await askTimes(guardOf(), 3)).at(-1)
    assert.ok(result && !result.ok)
    assert.equal(result.problem.tag, 'rate-exceeded')
    assert.deepEqual(result.problem.headers, {
      'retry-after': '60',
      'ratelimit-policy': '"address";q=2;w=60',
      ratelimit: '"address";r=0;t=60',
      'ratelimit-limit': '2',
      'ratelimit-remaining': '0',
      'ratelimit-reset': '60',
    })
    assert.equal(result.problem.detail, undefined)
  })

  test('report mode admits all, marks who is over the limit and says nothing to the caller', async () => {
    const results = await askTimes(guardOf({ mode: 'report' }), 3)
    const quotas = results.map((result) => (result.ok ? result.value : undefined))
    assert.deepEqual(
      quotas.map((quota) => quota?.reportOnly),
      [undefined, undefined, true],
    )
    assert.deepEqual(quotaHeaders(quotas), [])
  })

  for (const [mode, counts] of [
    ['enforce', { 'address admitted memory': 2, 'address refused memory': 3 }],
    ['report', { 'address admitted memory': 2, 'address would-refuse memory': 3 }],
  ] as const)
    test(`each decision is counted in ${mode} mode`, async () => {
      const counting = countingMeter()
      await askTimes(guardOf({ mode, meter: counting.meter }), 5)
      assert.deepEqual(counting.counts, counts)
    })
})

suite('quota headers', () => {
  const quota = (name: Quota['name'], remaining: number): Quota => ({
    name,
    mode: 'enforce',
    limit: 100,
    windowSeconds: 60,
    remaining,
    resetSeconds: 7,
  })

  test('they name every limit, and the nearest one in the older form', () => {
    const told = quotaHeaders([quota('address', 50), undefined, quota('caller', 3)])
    const pairs = told.flatMap((name, i) => (i % 2 === 0 ? [[name, told[i + 1]]] : []))
    assert.deepEqual(Object.fromEntries(pairs), {
      'ratelimit-policy': '"address";q=100;w=60, "caller";q=100;w=60',
      ratelimit: '"address";r=50;t=7, "caller";r=3;t=7',
      'ratelimit-limit': '100',
      'ratelimit-remaining': '3',
      'ratelimit-reset': '7',
    })
  })

  test('without a limit there are none', () => assert.deepEqual(quotaHeaders([undefined]), []))
})
