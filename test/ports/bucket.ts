import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Bucket, BucketStore, Spent } from '#plugins/rate-limit/bucket'

const takeTimes = async (bucket: Bucket, key: string, times: number): Promise<Spent[]> => {
  const spent: Spent[] = []
  for (let i = 0; i < times; i++) spent.push(await bucket.take(key))
  return spent
}
const admittedOf = (spent: readonly Spent[]) => spent.map(({ admitted }) => admitted)

/** What every place to count must do. `open` is called once; the suite closes what it gave. */
export const bucketKeepsItsPromises = (
  store: Spent['store'],
  open: () => BucketStore | Promise<BucketStore>,
): void => {
  suite(`a bucket in ${store} keeps its promises`, () => {
    let opened: BucketStore
    before(async () => {
      opened = await open()
    })
    after(() => opened.close())
    const bucketOf = (name: string, points: number, windowSeconds = 60) =>
      opened.bucket({ name, points, windowSeconds })

    test('it admits as many requests as there are points, and no more', async () => {
      const spent = await takeTimes(bucketOf('points', 3), 'ann', 5)
      assert.deepEqual(admittedOf(spent), [true, true, true, false, false])
      assert.deepEqual(
        spent.map(({ remaining }) => remaining),
        [2, 1, 0, 0, 0],
      )
    })

    test('it says who decided and when the points are back', async () => {
      const [spent] = await takeTimes(bucketOf('says', 3, 30), 'ann', 1)
      assert.equal(spent?.store, store)
      assert.ok(spent.resetMs > 28_000 && spent.resetMs <= 30_000, `${spent.resetMs} ms`)
    })

    test('keys do not share their points', async () => {
      const bucket = bucketOf('keys', 1)
      await takeTimes(bucket, 'ann', 2)
      assert.deepEqual(admittedOf(await takeTimes(bucket, 'bob', 1)), [true])
    })

    test('limits do not share the points of a key', async () => {
      await takeTimes(bucketOf('one', 1), 'ann', 2)
      assert.deepEqual(admittedOf(await takeTimes(bucketOf('other', 1), 'ann', 1)), [true])
    })

    test('the same limit asked for again goes on counting', async () => {
      await takeTimes(bucketOf('again', 1), 'ann', 1)
      assert.deepEqual(admittedOf(await takeTimes(bucketOf('again', 1), 'ann', 1)), [false])
    })

    test('all points are back when the window ends, and not before', async () => {
      const bucket = bucketOf('window', 2, 1)
      const [first] = await takeTimes(bucket, 'ann', 3)
      assert.ok(first)
      assert.equal((await bucket.take('ann')).admitted, false)
      await sleep(first.resetMs + 20)
      assert.deepEqual(admittedOf(await takeTimes(bucket, 'ann', 3)), [true, true, false])
    })

    test('requests that come at once are counted one by one', async () => {
      const bucket = bucketOf('at-once', 10)
      const spent = await Promise.all(Array.from({ length: 25 }, async () => bucket.take('ann')))
      assert.equal(admittedOf(spent).filter(Boolean).length, 10)
    })

    test('a key may be any text', async () => {
      const bucket = bucketOf('text', 1)
      for (const key of [
        '',
        ' ',
        '\0',
        'a\r\nFLUSHALL',
        '::/64',
        'ключ',
        '\ud800',
        'x'.repeat(10_000),
      ])
        assert.deepEqual(
          admittedOf(await takeTimes(bucket, key, 2)),
          [true, false],
          JSON.stringify(key.slice(0, 20)),
        )
    })
  })
}
