import assert from 'node:assert/strict'
import { test } from 'node:test'
import { systemRandomBytes } from '#contract/clock'
import { decisionIds } from '#gateway/ingress/decision-ids'

test('no decision id comes twice, and each is 32 hex digits', () => {
  const next = decisionIds(systemRandomBytes)
  const ids = Array.from({ length: 1000 }, next)
  for (const id of ids) assert.match(id, /^[0-9a-f]{32}$/)
  assert.equal(new Set(ids).size, 1000)
})
