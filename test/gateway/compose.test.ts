import assert from 'node:assert/strict'
import { test } from 'node:test'
import { admitted, pass, refuse } from '#contract/problem'
import { begin } from '#gateway/compose'

type Arrived = { readonly path: string }

const way = begin<Arrived>()
  .guard('open', ({ path }) => (path === '/shut' ? refuse('route-unknown') : admitted))
  .learn('length', ({ path }) => pass(path.length))
  .learn('double', async ({ length }) => pass(length * 2))
  .guard('no bug', ({ path }) => {
    if (path === '/bug') throw new TypeError('ours')
    return admitted
  })
  .learn('last', ({ double }) => (double > 100 ? refuse('policy-denied') : pass(`${double}`)))

test('a request that every step admits knows every fact', async () => {
  const outcome = await way.run({ path: '/abc' })
  assert.deepEqual(outcome, {
    ok: true,
    request: { path: '/abc', length: 4, double: 8, last: '8' },
  })
})

test('the first refusal stops it, and names its step', async () => {
  const outcome = await way.run({ path: '/shut' })
  assert.deepEqual(outcome, {
    ok: false,
    at: 'open',
    problem: { tag: 'route-unknown' },
    request: { path: '/shut' },
  })
})

test('a refused request keeps the facts learned before', async () => {
  const outcome = await way.run({ path: `/${'x'.repeat(60)}` })
  assert.equal(outcome.ok, false)
  assert.equal(outcome.request.double, 122)
  assert.equal(outcome.request.last, undefined)
})

test('a bug in a step is `internal`, never a pass', async () => {
  const outcome = await way.run({ path: '/bug' })
  assert.ok(!outcome.ok)
  assert.equal(outcome.at, 'no bug')
  assert.equal(outcome.problem.tag, 'internal')
  assert.ok(outcome.problem.cause instanceof TypeError)
})

test('a step that rejects is `internal`, too', async () => {
  const rejecting = begin<Arrived>().learn('never', () => Promise.reject(new Error('ours')))
  const outcome = await rejecting.run({ path: '/' })
  assert.ok(!outcome.ok)
  assert.equal(outcome.problem.tag, 'internal')
})

test('every step that ran is timed, in order', async () => {
  const seen: string[] = []
  await way.run({ path: '/bug' }, (step, elapsedMs) => {
    assert.ok(elapsedMs >= 0)
    seen.push(step)
  })
  assert.deepEqual(seen, ['open', 'length', 'double', 'no bug'])
})

test('two steps of one name are a bug when the way is built', () => {
  assert.throws(
    () =>
      begin<Arrived>()
        .guard('same', () => admitted)
        .guard('same', () => admitted),
    TypeError,
  )
})
