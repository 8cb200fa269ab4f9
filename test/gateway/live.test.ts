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
