import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'node:test'
import { perTurn } from '#http/per-turn'

test('what comes in one turn is handled together, in order, and not before', async () => {
  const handled: string[] = []
  const take = perTurn((name: string) => void handled.push(name))
  take('a')
  take('b')
  await Promise.resolve()
  assert.deepEqual(handled, [])
  await turn()
  assert.deepEqual(handled, ['a', 'b'])
})

test('what comes while it handles is for the next turn', async () => {
  const handled: number[] = []
  const take = perTurn((left: number) => {
    handled.push(left)
    if (left > 0) take(left - 1)
  })
  take(2)
  await turn()
  assert.deepEqual(handled, [2])
  await turn()
  await turn()
  assert.deepEqual(handled, [2, 1, 0])
})
