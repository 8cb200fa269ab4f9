import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { pass, refuse, type Result } from '#contract/problem'
import { secret } from '#contract/secret'
import { heldTokens, type HeldToken } from '#gateway/egress/credentials/held-tokens'

const tokenOf = (name: string, fromMs: number, forMs: number): Result<HeldToken> =>
  pass({ token: secret(name), issuedAtMs: fromMs, expiresAtMs: fromMs + forMs })

/** Answers with numbered tokens of this life, and counts. */
const source = (lifeMs: number) => {
  let count = 0
  let nowMs = 0
  const held = heldTokens(100)
  return {
    count: () => count,
    size: held.size,
    at: (ms: number) => {
      nowMs = ms
    },
    take: async (key = 'k') => {
      const taken = await held.take(
        key,
        async () => tokenOf(`t${(count += 1)}`, nowMs, lifeMs),
        nowMs,
      )
      return taken.ok
        ? `${taken.value.token.reveal()}${taken.value.fromCache ? ' again' : ''}`
        : taken.problem.tag
    },
  }
}

suite('a token that is held', () => {
  test('is asked for once, by however many at once', async () => {
    const { take, count } = source(60_000)
    const taken = await Promise.all(Array.from({ length: 20 }, () => take()))
    assert.deepEqual(new Set(taken), new Set(['t1']))
    assert.equal(await take(), 't1 again')
    assert.equal(count(), 1)
  })
  test('is not given to another key', async () => {
    const { take } = source(60_000)
    assert.deepEqual([await take('a'), await take('b')], ['t1', 't2'])
  })
  test('is renewed from two thirds of its life, while it goes on being used', async () => {
    const { take, at } = source(60_000)
    await take()
    at(39_999)
    assert.equal(await take(), 't1 again')
    at(40_000)
    assert.equal(await take(), 't1 again')
    assert.equal(await take(), 't2 again')
  })
  test('is never given at or beyond its end', async () => {
    for (const ms of [55_000, 60_000, 90_000]) {
      const { take, at } = source(60_000)
      await take()
      at(ms)
      assert.equal(await take(), 't2')
    }
  })
  test('that lives no longer than a moment is used once', async () => {
    const { take, size } = source(4000)
    assert.deepEqual([await take(), await take()], ['t1', 't2'])
    assert.equal(size(), 0)
  })
  test('is held for no longer because the clock is set back', async () => {
    const { take, at } = source(60_000)
    at(3_600_000)
    assert.equal(await take(), 't1')
    at(3_595_000)
    assert.equal(await take(), 't1 again')
    at(1_800_000)
    assert.equal(await take(), 't2')
  })
  test('that came when it was over is not used', async () => {
    const held = heldTokens(10)
    const taken = await held.take('k', async () => tokenOf('old', 0, 1000), 5000)
    assert.equal(taken.ok ? '' : taken.problem.tag, 'credential-unavailable')
  })
  test('is one of a bounded number', async () => {
    const { take, size } = source(60_000)
    for (let i = 0; i < 1000; i += 1) await take(`k${i}`)
    assert.ok(size() <= 100, `${size()} are held`)
  })
})

test('who cannot be asked is asked again after a moment, and not by everyone at once', async () => {
  const held = heldTokens(10)
  let asked = 0
  const fail = async (): Promise<Result<HeldToken>> => {
    asked += 1
    return refuse('credential-unavailable')
  }
  for (const ms of [0, 1, 499]) assert.equal((await held.take('k', fail, ms)).ok, false)
  assert.equal(asked, 1)
  assert.equal((await held.take('k', async () => tokenOf('t', 500, 60_000), 500)).ok, true)
})
