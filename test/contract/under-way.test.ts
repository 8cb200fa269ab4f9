import assert from 'node:assert/strict'
import { test } from 'node:test'
import { underWay } from '#contract/under-way'

test('who wants to know the same meanwhile waits for the same answer', async () => {
  const asked = underWay<number>()
  let count = 0
  const ask = (about: string) =>
    asked.share(about, (answered) => Promise.resolve(++count).finally(answered))
  const [one, same, other] = [ask('a'), ask('a'), ask('b')]
  assert.equal(one, same)
  assert.equal(asked.get('a'), one)
  assert.equal(asked.size(), 2)
  assert.deepEqual(await Promise.all([one, same, other]), [1, 1, 2])
  assert.equal(asked.get('a'), undefined)
  assert.equal(asked.size(), 0)
  assert.equal(await ask('a'), 3)
})

test('one that fails has ended, too', async () => {
  const asked = underWay<number>()
  const ask = () =>
    asked.share('a', (answered) => Promise.reject(new Error('no')).finally(answered))
  await assert.rejects(ask())
  assert.equal(asked.size(), 0)
  await assert.rejects(ask())
})

test('those that are not answered stay, however many are answered meanwhile', async () => {
  const asked = underWay<string>()
  let answer = (_text: string) => {}
  const slow = asked.share('slow', (answered) =>
    new Promise<string>((resolve) => (answer = resolve)).finally(answered),
  )
  for (let i = 0; i < 2000; i += 1)
    await asked.share(`${i % 700}`, (answered) => Promise.resolve('at once').finally(answered))
  assert.equal(asked.get('slow'), slow)
  assert.equal(asked.size(), 1)
  answer('at last')
  assert.equal(await slow, 'at last')
  assert.equal(asked.size(), 0)
})
