import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runtimes } from '#gateway/runtime'

type Config = { readonly url: string; readonly broken?: true }

const tracked = () => {
  const open = new Set<string>()
  const all = runtimes<Config, { readonly url: string }>(async (config, hand) => {
    const pool = hand.take(
      'pool',
      config.url,
      () => {
        open.add(config.url)
        return { url: config.url }
      },
      ({ url }) => open.delete(url),
    )
    if (config.broken) throw new Error('cannot be built')
    return pool
  })
  return { all, open }
}

test('what cannot be built never replaces what runs', async () => {
  const { all, open } = tracked()
  await all.load({ url: 'a' })
  await assert.rejects(all.load({ url: 'b', broken: true }), /cannot be built/)
  assert.equal(all.current().parts.url, 'a')
  assert.equal(all.current().revision, 1)
  assert.deepEqual([...open], ['a'])
})

test('a request keeps the runtime that it began with, until it is over', async () => {
  const { all, open } = tracked()
  await all.load({ url: 'a' })
  const [mine, leave] = all.enter()
  await all.load({ url: 'b' })
  assert.equal(mine.parts.url, 'a')
  assert.deepEqual([...open], ['a', 'b'])
  leave()
  assert.deepEqual([...open], ['b'])
})

test('what did not change is carried over', async () => {
  const { all } = tracked()
  const first = await all.load({ url: 'a' })
  const second = await all.load({ url: 'a' })
  assert.equal(first.parts, second.parts)
  assert.equal(second.revision, 2)
})

test('closing lets go of everything', async () => {
  const { all, open } = tracked()
  await all.load({ url: 'a' })
  all.close()
  assert.deepEqual([...open], [])
})
