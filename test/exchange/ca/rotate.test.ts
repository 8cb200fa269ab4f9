import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { dueSteps } from '#exchange/ca/rotate'
import type { Lived, Retired, Slots } from '#exchange/ca/slots'
import { hourMs } from '../fixtures.ts'

const key = (id: string, createdAtHours: number, lifeHours: number): Lived => ({
  id,
  createdAtMs: createdAtHours * hourMs,
  notAfterMs: (createdAtHours + lifeHours) * hourMs,
})
const slots = (active: Lived, next?: Lived, retired: Retired<Lived>[] = []): Slots<Lived> => ({
  active,
  next,
  retired,
})
const publishHours = 0.25

const day = key('a', 0, 24)
const next = key('n', 12, 24)
const year = key('a', 0, 365 * 24)
const retired: Retired<Lived> = { key: key('r', -24, 24), retiredAtMs: 0, publishedUntilMs: hourMs }

const rows: readonly (readonly [string, number, Slots<Lived>, readonly string[]])[] = [
  ['a new key has nothing due', 0, slots(day), []],
  ['more than half of a day left', 11.9, slots(day), []],
  ['half of a day left', 12, slots(day), ['prepare']],
  ['the next one is there already', 12, slots(day, next), []],
  ['more than a sixth left', 19.9, slots(day, next), []],
  ['a sixth left', 20, slots(day, next), ['activate']],
  ['a sixth left, the next one just published', 20, slots(day, key('n', 19.8, 24)), []],
  ['a sixth left, the next one published', 20, slots(day, key('n', 19.75, 24)), ['activate']],
  ['the active one is over', 24, slots(day, key('n', 24, 24)), ['activate']],
  ['both are over after a long sleep', 37, slots(day, next), ['prepare']],
  ['the clock was set back', -5, slots(day, next), []],
  ['a year: 31 days left', 334 * 24, slots(year), []],
  ['a year: 30 days left', 335 * 24, slots(year), ['prepare']],
  ['a year: 8 days left', 357 * 24, slots(year, key('n', 335 * 24, 8760)), []],
  ['a year: 7 days left', 358 * 24, slots(year, key('n', 335 * 24, 8760)), ['activate']],
  ['a retired one is still needed', 0.9, slots(day, undefined, [retired]), []],
  ['what a retired one signed has expired', 1, slots(day, undefined, [retired]), ['prune']],
]

suite('what is due for the keys of the exchange', () => {
  for (const [title, nowHours, given, due] of rows)
    test(`${title}: ${due.join() || 'nothing'}`, () => {
      assert.deepEqual(dueSteps(given, publishHours * hourMs, nowHours * hourMs), due)
    })
})
