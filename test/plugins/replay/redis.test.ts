import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, suite, test } from 'node:test'
import { admitted } from '#contract/problem'
import { secret } from '#contract/secret'
import { noLog, noMeter } from '#contract/telemetry'
import { replayGuard } from '#plugins/replay/guard'
import { memorySeen } from '#plugins/replay/memory'
import { redisSeen } from '#plugins/replay/redis'
import type { Seen } from '#plugins/replay/seen'
import { needsRedis, startRedis, type RedisServer } from '#test/ports/redis-server'
import { seenKeepsItsPromises } from '#test/ports/seen'

let server: RedisServer | undefined
const portOf = () => {
  assert.ok(server)
  return server.port
}
before(async () => {
  if (needsRedis.skip === undefined) server = await startRedis()
})
after(() => server?.stop())

const open = (
  clock: () => number = Date.now,
  { port = portOf(), meanwhile }: { port?: number; meanwhile?: Seen } = {},
) =>
  redisSeen(
    { topology: 'single', url: secret(`redis://127.0.0.1:${port}/2`), timeoutMs: 200, meanwhile },
    { clock, randomBytes, log: noLog },
  )

seenKeepsItsPromises('Redis', open, needsRedis)

suite('Redis', needsRedis, () => {
  test('tells two replicas apart from one: of both with one id, one is the first', async () => {
    const [one, other] = await Promise.all([open(), open()])
    for (let i = 0; i < 20; i++) {
      const answers = await Promise.all(
        [one, other].map(async (seen) => seen.see(`shared-${i}`, Date.now() + 60_000)),
      )
      assert.deepEqual(answers.toSorted(), ['again', 'first'])
    }
    await Promise.all([one.close(), other.close()])
  })

  test('that is away, hangs or was never there: nobody can tell, and nothing waits long', async () => {
    const mortal = await startRedis()
    const seen = await open(Date.now, { port: mortal.port })
    assert.equal(await seen.see('a', Date.now() + 60_000), 'first')
    mortal.signal('SIGSTOP')
    const beganAt = performance.now()
    assert.equal(await seen.see('b', Date.now() + 60_000), 'unknown')
    assert.equal(await seen.see('b', Date.now() + 60_000), 'unknown')
    assert.ok(performance.now() - beganAt < 1500)
    await mortal.stop()
    assert.equal(await seen.see('c', Date.now() + 60_000), 'unknown')
    await seen.close()

    const never = await open(Date.now, { port: mortal.port })
    assert.equal(await never.see('a', Date.now() + 60_000), 'unknown')
    await never.close()
  })

  test('that is away while memory may stand in: remembered here meanwhile', async () => {
    const seen = await open(Date.now, { port: 1, meanwhile: memorySeen(1024, Date.now) })
    assert.equal(await seen.see('a', Date.now() + 60_000), 'first')
    assert.equal(await seen.see('a', Date.now() + 60_000), 'again')
    await seen.close()
  })

  test('by a URL that is none: a fault that does not repeat the password', async () => {
    for (const url of ['http://:hush@localhost', 'redis://', 'hush', 'redis://:hush@h/db'])
      await assert.rejects(
        redisSeen(
          { topology: 'single', url: secret(url), timeoutMs: 200, meanwhile: undefined },
          { clock: Date.now, randomBytes, log: noLog },
        ),
        (error: Error) => error instanceof TypeError && !error.message.includes('hush'),
      )
  })
})

test('what is good once for one thing is not used up by another', async () => {
  const spend = replayGuard(memorySeen(1024, Date.now), noMeter)
  const end = Date.now() + 60_000
  assert.deepEqual(await spend('dpop-proof', 'x', end), admitted)
  assert.deepEqual(await spend('client-assertion', 'x', end), admitted)
  const again = await spend('dpop-proof', 'x', end)
  assert.ok(!again.ok && again.problem.tag === 'token-replayed')
})

test('what nobody can tell is refused with 503, to be tried again', async () => {
  const blind: Seen = { see: () => 'unknown', close: async () => {} }
  const answer = await replayGuard(blind, noMeter)('dpop-proof', 'x', Date.now() + 1000)
  assert.ok(!answer.ok)
  assert.equal(answer.problem.tag, 'replay-unavailable')
  assert.equal(answer.problem.headers?.['retry-after'], '5')
})
