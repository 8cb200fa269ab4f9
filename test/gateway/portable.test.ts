import assert from 'node:assert/strict'
import { test } from 'node:test'
import { secret, type Secret } from '#contract/secret'
import { fromPortable, toPortable } from '#gateway/portable'

test('what a worker is sent is what its primary had: secrets are secrets again, and nothing can be changed', () => {
  const sent = { list: [1, { deep: secret('hidden') }], text: 'a', none: null, yes: true }
  const wire = JSON.parse(JSON.stringify(toPortable(sent))) as unknown
  const got = fromPortable(wire) as typeof sent
  const deep = (got.list[1] as { deep: Secret<string> }).deep
  assert.equal(deep.reveal(), 'hidden')
  assert.doesNotMatch(JSON.stringify(got), /hidden/)
  assert.ok(Object.isFrozen(got) && Object.isFrozen(got.list) && Object.isFrozen(got.list[1]))
  assert.deepEqual([got.text, got.none, got.yes, got.list[0]], ['a', null, true, 1])
})
