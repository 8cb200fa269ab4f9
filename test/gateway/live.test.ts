import assert from 'node:assert/strict'
import { test } from 'node:test'
import { liveTable } from '#gateway/live'

test('a sweep cuts what it finds a problem with, and nothing else', () => {
  const cut: string[] = []
  const table = liveTable()
  for (const caller of ['alice', 'mallory'])
    table.add({ facts: { caller }, cut: (problem) => cut.push(`${caller} ${problem.tag}`) })
  const count = table.sweep((facts) =>
    (facts as { caller: string }).caller === 'mallory' ? { tag: 'quarantined' } : undefined,
  )
  assert.equal(count, 1)
  assert.deepEqual(cut, ['mallory quarantined'])
})

test('it says when nothing is open any more', async () => {
  const table = liveTable()
  const leave = table.add({ facts: {}, cut: () => {} })
  const other = table.add({ facts: {}, cut: () => {} })
  let empty = false
  const waiting = table.empty().then(() => (empty = true))
  leave()
  await Promise.resolve()
  assert.equal(empty, false)
  other()
  await waiting
  assert.equal(table.size(), 0)
  await table.empty()
})

test('whatever the order in which they leave, those that stay are found', () => {
  const table = liveTable()
  const cut: number[] = []
  const leaving = Array.from({ length: 10 }, (_, i) =>
    table.add({ facts: { i }, cut: () => cut.push(i) }),
  )
  for (const i of [9, 0, 4, 4, 5, 0]) leaving[i]?.()
  assert.equal(table.size(), 6)
  assert.equal(
    table.sweep(() => ({ tag: 'quarantined' })),
    6,
  )
  assert.deepEqual(
    cut.toSorted((a, b) => a - b),
    [1, 2, 3, 6, 7, 8],
  )
})

test('what leaves while it is cut takes nobody with it', () => {
  const table = liveTable()
  const leaving: (() => void)[] = []
  let cut = 0
  for (let i = 0; i < 10; i += 1)
    leaving.push(
      table.add({
        facts: {},
        cut: () => {
          cut += 1
          leaving[i]?.()
        },
      }),
    )
  assert.equal(
    table.sweep(() => ({ tag: 'quarantined' })),
    10,
  )
  assert.deepEqual([cut, table.size()], [10, 0])
})
