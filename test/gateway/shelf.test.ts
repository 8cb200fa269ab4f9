import assert from 'node:assert/strict'
import { test } from 'node:test'
import { shelf } from '#gateway/shelf'

const counting = () => {
  const made: string[] = []
  const closed: string[] = []
  const make = (name: string) => () => {
    made.push(name)
    return { name }
  }
  return { made, closed, make, close: ({ name }: { name: string }) => void closed.push(name) }
}

test('the same ingredients give the same thing to the next snapshot', () => {
  const { made, closed, make, close } = counting()
  const kept = shelf()
  const first = kept.hand()
  const second = kept.hand()
  const a = first.take('pool', { url: 'x' }, make('a'), close)
  const b = second.take('pool', { url: 'x' }, make('b'), close)
  assert.equal(a, b)
  first.release()
  assert.deepEqual([made, closed], [['a'], []])
  second.release()
  assert.deepEqual(closed, ['a'])
  assert.equal(kept.size(), 0)
})

test('other ingredients, or another kind, give another thing', () => {
  const { made, make, close } = counting()
  const hand = shelf().hand()
  hand.take('pool', { url: 'x' }, make('a'), close)
  hand.take('pool', { url: 'y' }, make('b'), close)
  hand.take('limit', { url: 'x' }, make('c'), close)
  assert.deepEqual(made, ['a', 'b', 'c'])
})

test('a hand that takes a thing twice lets go of it once', () => {
  const { closed, make, close } = counting()
  const hand = shelf().hand()
  hand.take('pool', 1, make('a'), close)
  hand.take('pool', 1, make('b'), close)
  hand.release()
  hand.release()
  assert.deepEqual(closed, ['a'])
})
