import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { suite, test } from 'node:test'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { memoryStore } from '#plugins/rate-limit/memory'
import { recently } from '#plugins/rate-limit/recently'
import { fixedSlots } from '#plugins/rate-limit/slots'
import { bucketKeepsItsPromises } from '#test/ports/bucket'

const parts = { clock: systemClock, randomBytes: systemRandomBytes }

bucketKeepsItsPromises('memory', () => memoryStore({ slots: 65_536 }, parts))

suite('slots', () => {
  const slotsAt = (count: number) => {
    const time = { nowMs: 1_000_000 }
    return { time, slots: fixedSlots(count, () => time.nowMs, randomBytes) }
  }

  test('a key finds its own slot until its window ends', () => {
    const { time, slots } = slotsAt(1024)
    const first = slots.find('ann', 1000)
    assert.equal(first.isFresh, true)
    time.nowMs += 999
    const again = { slot: first.slot, isFresh: false, resetMs: 1 }
    assert.deepEqual(slots.find('ann', 1000), again)
    time.nowMs += 1
    assert.equal(slots.find('ann', 1000).isFresh, true)
  })

  test('at half as many keys as slots hardly any key shares', () => {
    const { slots } = slotsAt(8192)
    const used = new Set<number>()
    for (let i = 0; i < 4096; i++) used.add(slots.find(`key ${i}`, 1000).slot)
    assert.ok(used.size > 4096 * 0.98, `${used.size} slots for 4096 keys`)
  })

  test('a flood of keys turns nobody out of a slot', () => {
    const { slots } = slotsAt(1024)
    const victim = slots.find('victim', 60_000)
    for (let i = 0; i < 50_000; i++) assert.ok(slots.find(`flood ${i}`, 60_000).slot < 1024)
    const { slot, isFresh } = slots.find('victim', 60_000)
    assert.deepEqual([slot, isFresh], [victim.slot, false])
  })

  test('the salt decides which keys fall together', () => {
    const placesWith = (salt: number) => {
      const slots = fixedSlots(
        65_536,
        () => 1,
        (count) => Buffer.alloc(count, salt),
      )
      return Array.from({ length: 50 }, (_, i) => slots.find(`key ${i}`, 1000).slot)
    }
    assert.deepEqual(placesWith(1), placesWith(1))
    assert.notDeepEqual(placesWith(1), placesWith(2))
  })
})

test('who comes back in a flood has not got his points again', async () => {
  const bucket = memoryStore({ slots: 1024 }, parts).bucket({
    name: 'flood',
    points: 2,
    windowSeconds: 60,
  })
  for (let i = 0; i < 3; i++) await bucket.take('victim')
  for (let i = 0; i < 20_000; i++) await bucket.take(`flood ${i}`)
  assert.equal((await bucket.take('victim')).admitted, false)
  assert.equal((await bucket.take('a newcomer in the flood')).admitted, false)
})

const numberOf = (key: string): number => key.length * 1000 + (key.codePointAt(0) ?? 0)

test('what is remembered of a key is what would be made of it, whoever came before', () => {
  let calls = 0
  const remember = recently()
  const made = remember((key) => {
    calls += 1
    return numberOf(key)
  })
  const keys = ['', 'a', 'b', ...Array.from({ length: 2000 }, (_, i) => `${i} 192.0.2.${i % 256}`)]
  for (const key of [...keys, ...keys]) assert.equal(made(key), numberOf(key))
  const before = calls
  for (let i = 0; i < 100; i++) made('192.0.2.1')
  assert.equal(calls, before + 1)
  const others = Array.from({ length: 300 }, (_, i) => remember((key) => numberOf(key) + i))
  for (const key of keys) others.forEach((other, i) => assert.equal(other(key), numberOf(key) + i))
})
