import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memorySeen } from '#plugins/replay/memory'
import { seenKeepsItsPromises } from '#test/ports/seen'

seenKeepsItsPromises('memory', async (clock) => memorySeen(10_000, clock))

test('memory that is full of ids that have not ended says that it cannot tell, and forgets none', () => {
  let nowMs = 1_000_000
  const seen = memorySeen(3, () => nowMs)
  for (const id of ['a', 'b', 'c']) assert.equal(seen.see(id, nowMs + 30_000), 'first')
  assert.equal(seen.see('d', nowMs + 30_000), 'unknown')
  assert.equal(seen.see('a', nowMs + 30_000), 'again')
  nowMs += 50_000
  assert.equal(seen.see('d', nowMs + 30_000), 'first')
})
