import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { fromPortable, joining, piecesOf, toPortable } from '#contract/portable'
import { secret, type Secret } from '#contract/secret'

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

suite('what another thread or process is sent', () => {
  test('is what was had here: secrets are secrets again, and nothing can be changed', () => {
    const sent = { list: [1, { deep: secret('hidden') }], text: 'a', none: null, yes: true }
    const got = fromPortable(throughJson(toPortable(sent))) as typeof sent
    const deep = (got.list[1] as { deep: Secret<string> }).deep
    assert.equal(deep.reveal(), 'hidden')
    assert.doesNotMatch(JSON.stringify(got), /hidden/)
    assert.ok(Object.isFrozen(got) && Object.isFrozen(got.list) && Object.isFrozen(got.list[1]))
    assert.deepEqual([got.text, got.none, got.yes, got.list[0]], ['a', null, true, 1])
  })

  test('is never a secret because a key says so', () => {
    const sent = { $secret: 'a', deep: { $$secret: ['b'], reveal: 'c' } }
    assert.deepEqual(fromPortable(throughJson(toPortable(sent))), sent)
  })
})

suite('in pieces', () => {
  const joined = (sent: object) => {
    const whole = joining()
    const pieces = [...piecesOf(sent)]
    for (const piece of pieces) whole.add(throughJson(piece) as typeof piece)
    return { got: whole.whole(), pieces }
  }

  test('thousands of routes are put together in the order they had, keys too, secrets and all', () => {
    const route = (i: number) => ({ id: `route-${i}`, match: { hosts: ['a', 'b'], path: `/${i}` } })
    const sent = {
      version: 1,
      issuers: Object.fromEntries(Array.from({ length: 3000 }, (_, i) => [`i${i}`, { n: i }])),
      empty: [],
      routes: Array.from({ length: 5000 }, (_, i) => route(i)),
      egress: { rules: Array.from({ length: 3000 }, (_, i) => ({ key: secret(`s${i}`) })) },
      last: 'x',
    }
    const { got, pieces } = joined(sent)
    assert.ok(pieces.length > 10, `${pieces.length} pieces`)
    assert.equal(JSON.stringify(got), JSON.stringify(sent))
    const { egress, routes, issuers } = got as typeof sent
    assert.equal(egress.rules[2999]?.key.reveal(), 's2999')
    for (const part of [got, egress, egress.rules, routes, routes[1], routes[1]?.match, issuers])
      assert.ok(Object.isFrozen(part))
  })

  const key = fc.string().filter((text) => text !== '__proto__') // which no configuration may have

  test('whatever it is, it is the same', () => {
    fc.assert(
      fc.property(fc.dictionary(key, fc.jsonValue()), (sent) => {
        assert.equal(JSON.stringify(joined(sent).got), JSON.stringify(sent))
      }),
    )
  })
})
