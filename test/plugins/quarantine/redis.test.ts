import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock, systemRandomBytes } from '#contract/clock'
import { secret } from '#contract/secret'
import { noMeter, type Log, type Meter } from '#contract/telemetry'
import type { QuarantineList } from '#plugins/quarantine/list'
import { openQuarantine } from '#plugins/quarantine/open'
import { listKeepsItsPromises } from '#test/ports/quarantine-list'
import { needsRedis, startRedis, type RedisServer } from '#test/ports/redis-server'
import { entryAbout } from './entries.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-quarantine-'))
after(() => rmSync(folder, { recursive: true }))

type More = {
  log?: Log
  meter?: Meter
  list?: string
  file?: string
  timeoutMs?: number
  url?: string
}
const openAt = (port: number, { log, meter, list = 'q', file, timeoutMs = 2000, url }: More = {}) =>
  openQuarantine(
    {
      maxEntries: 20,
      ...(file === undefined ? {} : { file }),
      redis: {
        topology: 'single',
        url: secret(url ?? `redis://127.0.0.1:${port}/0`),
        list,
        timeoutMs,
      },
    },
    {
      clock: systemClock,
      randomBytes: systemRandomBytes,
      meter: meter ?? noMeter,
      log: log ?? { info: () => {}, warn: () => {}, error: () => {} },
    },
  )
const remembering = () => {
  const lines: string[] = []
  const keep = (fields: object, message: string) =>
    void lines.push(`${message} ${JSON.stringify(fields)}`)
  return { lines, log: { info: keep, warn: keep, error: keep } satisfies Log }
}
const ids = (list: QuarantineList) => Array.from(list.index.all(), ({ entry }) => entry.id).sort()
const until = async (isSo: () => boolean, what: string) => {
  const end = performance.now() + 15_000
  while (!isSo()) {
    assert.ok(performance.now() < end, `never: ${what}`)
    await sleep(10)
  }
}
const about = (jti: string) => entryAbout({ kind: 'jti', jti })
const changeOf = (list: QuarantineList) => list.status().lastChange.split('/')[1] ?? ''
const redisCli = (port: number, ...args: string[]) =>
  execFileSync('redis-cli', ['-p', `${port}`, ...args], { encoding: 'utf8' })

suite('a list in Redis', needsRedis, () => {
  let server: RedisServer
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())

  listKeepsItsPromises('redis', () => openAt(server.port, { list: 'suite' }))

  test('what one gateway adds and lifts is so at the others, within moments of it', async () => {
    const lists = await Promise.all([1, 2, 3].map(() => openAt(server.port, { list: 'three' })))
    const [one, two, three] = lists as [QuarantineList, QuarantineList, QuarantineList]
    const entry = about('a')
    await one.add(entry)
    await until(() => lists.every((list) => ids(list).length === 1), 'all have heard')
    await three.lift(entry.id)
    await until(() => lists.every((list) => ids(list).length === 0), 'all have heard of the lift')
    assert.equal(new Set(lists.map((list) => list.status().lastChange)).size, 1)
    await two.add(about('b'))
    const late = await openAt(server.port, { list: 'three' })
    assert.deepEqual(ids(late), ids(two))
    await Promise.all([...lists, late].map((list) => list.close()))
  })

  test('a push that is lost costs a second: each gateway also asks', async () => {
    const heard: string[] = []
    const meter: Meter = {
      ...noMeter,
      histogram: (name, labels) => () => void heard.push(`${name} ${Object.values(labels).join()}`),
    }
    const [one, two] = await Promise.all([
      openAt(server.port, { list: 'deaf' }),
      openAt(server.port, { list: 'deaf', meter }),
    ])
    await one.add(about('a'))
    await until(() => ids(two).length === 1, 'both have begun')
    // Nobody may listen any more, and those who do are sent away.
    redisCli(server.port, 'acl', 'setuser', 'default', '-subscribe')
    redisCli(server.port, 'client', 'kill', 'type', 'pubsub')
    await one.add(about('b'))
    await until(() => ids(two).length === 2, 'it has asked')
    assert.deepEqual(heard, ['sallyport_quarantine_propagation_seconds poll'])
    redisCli(server.port, 'acl', 'setuser', 'default', '+subscribe')
    await until(() => {
      void one.add(about('c'))
      return heard.some((how) => how.endsWith('push'))
    }, 'it listens again by itself')
    await Promise.all([one.close(), two.close()])
  })

  test('lists of different names know nothing of each other', async () => {
    const [one, two] = await Promise.all([
      openAt(server.port, { list: 'one' }),
      openAt(server.port, { list: 'two' }),
    ])
    await one.add(about('a'))
    assert.equal((await two.lift(ids(one)[0] ?? '')).ok, false)
    assert.deepEqual(ids(two), [])
    await Promise.all([one.close(), two.close()])
  })

  test('a gateway that was away for longer than changes are kept reads the whole list', async () => {
    const file = join(folder, 'away.jsonl')
    const [stays, away] = await Promise.all([
      openAt(server.port, { list: 'away' }),
      openAt(server.port, { list: 'away', file }),
    ])
    const [lifted, kept] = [about('lifted'), about('kept')]
    await away.add(lifted)
    await away.close()
    await stays.lift(lifted.id)
    await stays.add(kept)
    redisCli(server.port, 'xtrim', '{sallyport:away}:changes', 'maxlen', '1')
    const back = await openAt(server.port, { list: 'away', file })
    assert.deepEqual(ids(back), [kept.id])
    await Promise.all([stays.close(), back.close()])
  })

  test('an entry that cannot be read is told of, and harms no other', async () => {
    const { lines, log } = remembering()
    const list = await openAt(server.port, { list: 'odd', log })
    const good = about('good')
    await list.add(good)
    redisCli(server.port, 'hset', '{sallyport:odd}:entries', 'odd', '{"by":{"kind":"moon"}}')
    redisCli(
      server.port,
      'xadd',
      '{sallyport:odd}:changes',
      '*',
      'add',
      '{"by":{"kind":"moon"}}',
      'at',
      '1',
    )
    const fresh = await openAt(server.port, { list: 'odd', log })
    await until(
      () => lines.filter((line) => line.includes('cannot be read')).length >= 2,
      'both say so',
    )
    assert.deepEqual(ids(fresh), [good.id])
    assert.deepEqual(ids(list), [good.id])
    await Promise.all([list.close(), fresh.close()])
  })

  test('what has ended does not stay in Redis', async () => {
    const list = await openAt(server.port, { list: 'ends' })
    await list.add({ ...about('a'), expiresAt: new Date(Date.now() + 300).toISOString() })
    await until(
      () => redisCli(server.port, 'hlen', '{sallyport:ends}:entries').trim() === '0',
      'it is gone from Redis',
    )
    await list.close()
  })
})

suite('while Redis is away', needsRedis, () => {
  test('the list that was last known stays in force, and orders are refused aloud', async () => {
    const server = await startRedis()
    const { lines, log } = remembering()
    const list = await openAt(server.port, { log })
    const entry = about('a')
    await list.add(entry)
    await server.stop()
    await until(() => lines.length === 1, 'it says so')
    assert.match(
      lines[0] ?? '',
      /^the shared quarantine is out of reach: the list that was last known stays in force/,
    )
    for (const order of [() => list.add(about('b')), () => list.lift(entry.id)]) {
      const outcome = await order()
      assert.equal(outcome.ok ? '' : outcome.problem.tag, 'quarantine-unavailable')
    }
    assert.deepEqual(ids(list), [entry.id])
    assert.equal(list.isKnown(), true)
    await list.close()
  })

  test('a server that hangs holds nobody up for longer than it may', async () => {
    const server = await startRedis()
    const list = await openAt(server.port, { timeoutMs: 200 })
    server.signal('SIGSTOP')
    const began = performance.now()
    assert.equal((await list.add(about('a'))).ok, false)
    assert.ok(performance.now() - began < 3000, `${performance.now() - began} ms`)
    server.signal('SIGCONT')
    // It was taken after all, as such a refusal says it may be, and comes into force by itself.
    await until(() => ids(list).length === 1, 'it is in the list')
    await list.close()
    await server.stop()
  })

  test('what it has lost is put back by those who know it, and what they missed is heard', async () => {
    const server = await startRedis()
    const { lines, log } = remembering()
    const [one, two] = await Promise.all([
      openAt(server.port, { log }),
      openAt(server.port, { log }),
    ])
    const known = [about('a'), about('b')]
    for (const entry of known) await one.add(entry)
    await until(() => ids(two).length === 2, 'both know them')
    await server.stop()
    const empty = await startRedis([], server.port)
    await until(() => lines.some((line) => line.includes('it is put back')), 'it is put back')
    const fresh = await openAt(server.port)
    await until(() => ids(fresh).length === 2, 'a new gateway knows them')
    const more = about('c')
    while (!(await two.add(more)).ok) await sleep(20) // it may not be connected again yet
    const all = [...known, more].map(({ id }) => id).sort()
    await until(() => [one, two, fresh].every((list) => ids(list).length === 3), 'all know all')
    assert.deepEqual(ids(one), all)
    await Promise.all([one, two, fresh].map((list) => list.close()))
    await empty.stop()
  })

  test('a copy that had not heard of the last changes gets them from those who have', async () => {
    const server = await startRedis()
    const list = await openAt(server.port)
    const [heard, unheard] = [about('heard'), about('unheard')]
    await list.add(heard)
    await list.add(unheard)
    // As after a failover to a replica that was behind, which has gone on since.
    redisCli(server.port, 'hdel', '{sallyport:q}:entries', unheard.id)
    redisCli(server.port, 'xdel', '{sallyport:q}:changes', changeOf(list))
    await until(
      () => redisCli(server.port, 'hexists', '{sallyport:q}:entries', unheard.id).trim() === '1',
      'it is back in Redis',
    )
    assert.deepEqual(ids(list), [heard.id, unheard.id].sort())
    await list.close()
    await server.stop()
  })

  test('an order that comes before the loss is noticed does not hide it', async () => {
    const server = await startRedis()
    const list = await openAt(server.port)
    const entry = about('a')
    await list.add(entry)
    redisCli(server.port, 'flushall')
    const more = about('b')
    await list.add(more)
    const fresh = await openAt(server.port)
    await until(() => ids(fresh).length === 2, 'both are shared')
    assert.deepEqual(ids(list), [entry.id, more.id].sort())
    await Promise.all([list.close(), fresh.close()])
    await server.stop()
  })

  test('a gateway that starts knows no list, and so nobody who could be on it; until Redis is there', async () => {
    const server = await startRedis()
    await server.stop()
    const list = await openAt(server.port)
    assert.equal(list.isKnown(), false)
    const back = await startRedis([], server.port)
    await until(list.isKnown, 'it knows the list')
    await list.close()
    await back.stop()
  })

  test('a gateway that starts with a file goes by that, and joins the others later', async () => {
    const server = await startRedis()
    const file = join(folder, 'begins.jsonl')
    const before = await openAt(server.port, { file })
    const entry = about('a')
    await before.add(entry)
    await before.close()
    await server.stop()
    const list = await openAt(server.port, { file })
    assert.deepEqual([list.isKnown(), ids(list)], [true, [entry.id]])
    const back = await startRedis([], server.port)
    await until(
      () => redisCli(server.port, 'hlen', '{sallyport:q}:entries').trim() === '1',
      'what only the file knew is shared',
    )
    await list.close()
    await back.stop()
  })
})

test('a URL that is none of Redis stops the start, and is not repeated', needsRedis, async () => {
  await assert.rejects(openAt(0, { url: 'https://:hunter2@redis.example' }), (error: Error) => {
    assert.match(error.message, /quarantine\.redis\.url/)
    assert.doesNotMatch(error.message, /hunter2/)
    return true
  })
})
