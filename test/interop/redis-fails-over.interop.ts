/**
 * Limits in Redis while its master dies: found anew by sentinels, or by a cluster of six. Until then each gateway counts
 * for itself, and no decision takes longer than its timeout.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { noLog } from '#contract/telemetry'
import type { Bucket } from '#plugins/rate-limit/bucket'
import { redisStore } from '#plugins/rate-limit/redis'
import {
  needsTools,
  startCluster,
  startSentinels,
  until,
  type FailingOver,
} from './redis/failing-over.ts'

const timeoutMs = 200
const limit = { name: 'caller', points: 1_000_000, windowSeconds: 3600 }
const parts = { clock: systemClock, randomBytes: systemRandomBytes, log: noLog }

/** Takes the master away and asks all the while: nobody waits, and Redis decides again by itself. */
const failsOver = async (bucket: Bucket, takeAway: () => Promise<void>) => {
  await until('a decision of Redis', async () => (await bucket.take('ann')).store === 'redis')
  const before = (await bucket.take('ann')).remaining
  await takeAway()
  const began = performance.now()
  let longestMs = 0
  let byFallback = 0
  for (;;) {
    const askedAt = performance.now()
    const { store, admitted, remaining } = await bucket.take('ann')
    longestMs = Math.max(longestMs, performance.now() - askedAt)
    assert.ok(admitted)
    if (store === 'fallback') byFallback += 1
    else if (byFallback > 0) {
      assert.ok(remaining <= before, 'the new master has forgotten what was counted')
      break
    }
    assert.ok(performance.now() - began < 60_000, 'Redis does not decide again')
    await sleep(20)
  }
  const awayMs = Math.round(performance.now() - began)
  console.log(
    `  away for ${awayMs} ms, ${byFallback} local decisions, longest ${Math.round(longestMs)} ms`,
  )
  assert.ok(longestMs < timeoutMs + 500, `a decision took ${longestMs} ms`)
}

const countedIn = async ({ options, takeAway }: FailingOver, how: 'kill' | 'hang') => {
  const store = await redisStore({ ...options, timeoutMs, memorySlots: 1024 }, parts)
  try {
    await failsOver(store.bucket(limit), () => takeAway('sallyport:limit:caller:ann', how))
  } finally {
    await store.close() // else a failure would never end
  }
}

suite('limits in Redis Sentinel', needsTools, () => {
  for (const [what, how] of [
    ['dies', 'kill'],
    ['hangs', 'hang'],
  ] as const)
    test(`a master that ${what} is replaced by the one that the sentinels name`, async () =>
      countedIn(await startSentinels(), how))
})

suite('limits in Redis Cluster', needsTools, () => {
  test('of six goes on without one of its masters', async () =>
    countedIn(await startCluster(), 'kill'))
})
