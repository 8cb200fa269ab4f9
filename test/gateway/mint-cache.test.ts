import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pass, refuse, type Result } from '#contract/problem'
import { secret } from '#contract/secret'
import type { SpiffeId } from '#contract/spiffe-id'
import { noMeter } from '#contract/telemetry'
import { tokenTypes, type MintedToken, type MintRequest } from '#contract/token-exchange'
import { mintCache, parentOf, type Parent } from '#gateway/mint-cache'

const minute = 60_000
const request = (audience = 'spiffe://mesh.test/orders'): MintRequest => ({
  subjectToken: secret('outside'),
  audience,
  requestedTokenType: tokenTypes.jwt,
  decisionId: 'd',
})
const alice = 'spiffe://mesh.test/alice' as SpiffeId
const parent = (fingerprint = 'p', expiresAtMs = 60 * minute, subject = alice): Parent =>
  parentOf({ fingerprint, expiresAtMs }, subject)

const exchange = (lifeMs = 5 * minute) => {
  let nowMs = 0
  let down = false
  let subject = alice
  const asked: string[] = []
  const waiting: (() => void)[] = []
  const ask = async ({ audience }: MintRequest): Promise<Result<MintedToken>> => {
    asked.push(audience)
    await new Promise<void>((resolve) => waiting.push(resolve))
    if (down) return refuse('identity-unavailable')
    return pass({
      token: secret(`minted ${asked.length}`),
      tokenType: tokenTypes.jwt,
      subject,
      audience,
      jti: String(asked.length),
      kid: 'k',
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + lifeMs,
    })
  }
  const answerAll = async () => {
    for (const resolve of waiting.splice(0)) resolve()
    for (let i = 0; i < 5; i += 1) await Promise.resolve()
  }
  const at = (ms: number) => (nowMs = ms)
  const mapTo = (spiffeId: SpiffeId) => (subject = spiffeId)
  return { ask, asked, answerAll, at, mapTo, goDown: () => (down = true) }
}

test('five hundred that want the same at once ask once', async () => {
  const { ask, asked, answerAll } = exchange()
  const cache = mintCache(ask, 1000, noMeter)
  const all = Array.from({ length: 500 }, async () => cache.take(parent(), request(), 0))
  await answerAll()
  const results = await Promise.all(all)
  assert.equal(asked.length, 1)
  assert.ok(results.every((result) => result.ok && result.value.minted.jti === '1'))
})

test('another parent or another audience is another token (GHSA-rp9m-7r4c-75qg)', async () => {
  const { ask, asked, answerAll } = exchange()
  const cache = mintCache(ask, 1000, noMeter)
  const all = [
    cache.take(parent('a'), request(), 0),
    cache.take(parent('b'), request(), 0),
    cache.take(parent('a'), request('spiffe://mesh.test/billing'), 0),
  ]
  await answerAll()
  for (const soon of all) await soon
  assert.equal(asked.length, 3)
})

test('from two thirds of its life on it is asked for anew while the old one serves', async () => {
  const { ask, asked, answerAll, at } = exchange()
  const cache = mintCache(ask, 1000, noMeter)
  const first = cache.take(parent(), request(), 0)
  await answerAll()
  await first
  const early = await cache.take(parent(), request(), 3 * minute)
  assert.equal(asked.length, 1)
  assert.ok(early.ok && early.value.fromCache)
  at(4 * minute)
  const late = await cache.take(parent(), request(), 4 * minute)
  assert.equal(asked.length, 2)
  assert.ok(late.ok && late.value.minted.jti === '1')
  await answerAll()
  const renewed = await cache.take(parent(), request(), 4 * minute + 1)
  assert.ok(renewed.ok && renewed.value.minted.jti === '2')
})

test('while the exchange is down the cached one serves, until just before it ends', async () => {
  const { ask, answerAll, goDown } = exchange()
  const cache = mintCache(ask, 1000, noMeter)
  const first = cache.take(parent(), request(), 0)
  await answerAll()
  await first
  goDown()
  const serving = await cache.take(parent(), request(), 4.9 * minute)
  assert.ok(serving.ok)
  const ended = cache.take(parent(), request(), 5 * minute)
  await answerAll()
  const refused = await ended
  assert.ok(!refused.ok && refused.problem.tag === 'identity-unavailable')
})

test('one that cannot live longer than its parent is not refreshed', async () => {
  const { ask, asked, answerAll } = exchange()
  const cache = mintCache(ask, 1000, noMeter)
  const short = parent('p', 5 * minute)
  const first = cache.take(short, request(), 0)
  await answerAll()
  await first
  await cache.take(short, request(), 4.5 * minute)
  assert.equal(asked.length, 1)
})

test('it holds no more than its bound, and keeps what is used', async () => {
  const { ask, asked, answerAll } = exchange()
  const cache = mintCache(ask, 100, noMeter)
  for (let i = 0; i < 300; i += 1) {
    const soon = cache.take(parent(`p${i}`), request(), 0)
    await answerAll()
    await soon
    const used = await cache.take(parent('p0'), request(), 0)
    assert.ok(used.ok)
  }
  assert.equal(asked.length, 300)
  assert.ok(cache.size() <= 100)
})

test('after the mapping changed, what was minted by the old one is asked for anew', async () => {
  const { ask, asked, answerAll, mapTo } = exchange()
  const cache = mintCache(ask, 1000, noMeter)
  const take = async (as: SpiffeId) => {
    const soon = cache.take(parent('p', 60 * minute, as), request(), 0)
    await answerAll()
    const result = await soon
    assert.ok(result.ok)
    return result.value
  }
  const renamed = 'spiffe://mesh.test/people/alice' as SpiffeId
  await take(alice)
  // The gateway has the new mapping, the exchange not yet: its answer is of no use, and is not kept.
  assert.equal((await take(renamed)).minted.subject, alice)
  mapTo(renamed)
  assert.equal((await take(renamed)).minted.subject, renamed)
  assert.ok((await take(renamed)).fromCache)
  assert.equal(asked.length, 3)
})

test('what moved to the younger half is counted once', async () => {
  const { ask, answerAll } = exchange()
  const cache = mintCache(ask, 4, noMeter)
  for (const name of ['a', 'b', 'c', 'a']) {
    const soon = cache.take(parent(name), request(), 0)
    await answerAll()
    await soon
  }
  assert.equal(cache.size(), 3)
})
