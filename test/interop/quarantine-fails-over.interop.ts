/**
 * The shared quarantine, and what is good once, while the master of Redis dies or hangs: found anew by sentinels, or by a
 * cluster of six. Meanwhile what was last known stays in force, and nobody who was cut off gets in.
 */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, systemRandomBytes } from '#contract/clock'
import type { QuarantineEntry } from '#contract/quarantine'
import { noLog, noMeter } from '#contract/telemetry'
import type { QuarantineList } from '#plugins/quarantine/list'
import { openQuarantine } from '#plugins/quarantine/open'
import { redisSeen } from '#plugins/replay/redis'
import { entryAbout } from '#test/plugins/quarantine/entries'
import {
  needsTools,
  startCluster,
  startSentinels,
  until,
  type FailingOver,
} from './redis/failing-over.ts'

const parts = { clock: systemClock, randomBytes: systemRandomBytes, meter: noMeter, log: noLog }
const gateways = 3
const orders = 40

const has = ({ index }: QuarantineList, { id }: QuarantineEntry) =>
  Iterator.from(index.all()).some(({ entry }) => entry.id === id)

let made = 0
/** Gives orders at one gateway after the other; milliseconds until each was in force at all, and what was ordered. */
const giveOrders = async (lists: readonly QuarantineList[], count: number) => {
  const took: number[] = []
  const given: QuarantineEntry[] = []
  for (let i = 0; i < count; i++) {
    const entry = entryAbout({ kind: 'jti', jti: `token-${(made += 1)}` })
    const list = lists[i % lists.length]
    const began = performance.now()
    const added = await list?.add(entry)
    assert.ok(added?.ok, JSON.stringify(added))
    while (!lists.every((one) => has(one, entry))) {
      assert.ok(performance.now() - began < 30_000, 'an order did not arrive')
      await sleep(2)
    }
    took.push(performance.now() - began)
    given.push(entry)
  }
  return { p95Ms: took.toSorted((a, b) => a - b)[Math.floor(count * 0.95)] ?? NaN, given }
}

const cutsOffThrough = async ({ options, takeAway }: FailingOver, how: 'kill' | 'hang') => {
  const open = () =>
    openQuarantine(
      { maxEntries: 10_000, redis: { ...options, list: 'quarantine', timeoutMs: 1000 } },
      parts,
    )
  const lists = await Promise.all(Array.from({ length: gateways }, open))
  await until('all have the list', () => lists.every(({ isKnown }) => isKnown()))
  const before = await giveOrders(lists, orders)

  await takeAway('{sallyport:quarantine}:changes', how)
  const goneAt = performance.now()
  // As long as it is away no order is taken for given, and nobody is forgotten.
  let refused = 0
  for (;;) {
    for (const list of lists)
      for (const entry of before.given) assert.ok(has(list, entry), 'one who was cut off got in')
    const added = await lists[0]?.add(entryAbout({ kind: 'jti', jti: `away-${(made += 1)}` }))
    if (added?.ok) break
    refused += 1
    assert.equal(added?.problem.tag, 'quarantine-unavailable')
    assert.ok(performance.now() - goneAt < 60_000, 'the list cannot be changed any more')
    await sleep(50)
  }
  const awayMs = Math.round(performance.now() - goneAt)
  // Each connects anew by itself; one of them may be later than the first.
  await until('all take orders', async () => {
    const answers = await Promise.all(
      lists.map((list) => list.add(entryAbout({ kind: 'jti', jti: `back-${(made += 1)}` }))),
    )
    return answers.every(({ ok }) => ok)
  })
  const afterwards = await giveOrders(lists, orders)
  const starting = [...lists, await open()]
  for (const list of starting)
    await until('all are in force', () =>
      [...before.given, ...afterwards.given].every((entry) => has(list, entry)),
    )
  console.log(
    `  away for ${awayMs} ms, ${refused} orders refused meanwhile; order to force at all ${gateways}, p95: ${before.p95Ms.toFixed(0)} ms before, ${afterwards.p95Ms.toFixed(0)} ms after`,
  )
  assert.ok(before.p95Ms < 1000 && afterwards.p95Ms < 1000)
  for (const list of starting) await list.close()
}

const remembersThrough = async ({ options, takeAway }: FailingOver, how: 'kill' | 'hang') => {
  const open = () => redisSeen({ ...options, timeoutMs: 500, meanwhile: undefined }, parts)
  const [one, other] = await Promise.all([open(), open()])
  const untilMs = Date.now() + 600_000
  const ids = Array.from({ length: 50 }, (_, i) => `proof-${(made += 1)}-${i}`)
  await until('Redis answers', async () => (await one.see(`first-${made}`, untilMs)) !== 'unknown')
  for (const id of ids) assert.equal(await one.see(id, untilMs), 'first')
  await takeAway(`sallyport:seen:${ids[0]}`, how)
  const goneAt = performance.now()
  let unknown = 0
  for (;;) {
    // Whatever becomes of it: what was used is never taken again.
    const sightings = await Promise.all(ids.map(async (id) => other.see(id, untilMs)))
    for (const sighting of sightings) assert.notEqual(sighting, 'first')
    unknown += sightings.filter((sighting) => sighting === 'unknown').length
    if (sightings.every((sighting) => sighting === 'again') && unknown > 0) break
    assert.ok(performance.now() - goneAt < 60_000, 'Redis does not remember again')
    await sleep(50)
  }
  assert.equal(await other.see(`new-${made}`, untilMs), 'first')
  console.log(
    `  away for ${Math.round(performance.now() - goneAt)} ms, ${unknown} times nobody could tell`,
  )
  await Promise.all([one.close(), other.close()])
}

for (const [name, start] of [
  ['Redis Sentinel', startSentinels],
  ['Redis Cluster', startCluster],
] as const)
  suite(name, needsTools, () => {
    for (const [what, how] of [
      ['dies', 'kill'],
      ['hangs', 'hang'],
    ] as const) {
      test(`a quarantine is in force within a second before and after its master ${what}, and nobody gets in meanwhile`, async () =>
        cutsOffThrough(await start(), how))
      test(`what is good once is taken once although the master ${what}`, async () =>
        remembersThrough(await start(), how))
    }
  })
