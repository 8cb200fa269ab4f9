import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { secret } from '#contract/secret'
import { noLog } from '#contract/telemetry'
import { limitStores } from '#plugins/rate-limit/stores'
import { needsRedis, startRedis } from '#test/ports/redis-server'

const parts = { clock: systemClock, randomBytes: systemRandomBytes, log: noLog }
const limit = { name: 'limit', points: 5, windowSeconds: 60 }

suite('the stores of limits', () => {
  test('a flood of addresses fills no slot of the callers', async () => {
    const stores = await limitStores({ memorySlots: 1024 }, parts)
    const addresses = stores.addresses.bucket(limit)
    for (let i = 0; i < 20_000; i++) await addresses.take(`address ${i}`)
    const callers = stores.callers.bucket(limit)
    for (let i = 0; i < 100; i++) assert.equal((await callers.take(`caller ${i}`)).remaining, 4)
    await stores.close()
  })

  test('are one Redis server where one is configured', needsRedis, async () => {
    const server = await startRedis()
    const url = secret(`redis://127.0.0.1:${server.port}`)
    const stores = await limitStores(
      { memorySlots: 1024, redis: { topology: 'single', url, timeoutMs: 500 } },
      parts,
    )
    for (const store of [stores.addresses, stores.callers])
      assert.equal((await store.bucket(limit).take('ann')).store, 'redis')
    await stores.close()
    await server.stop()
  })
})
