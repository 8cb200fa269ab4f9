import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, afterEach, suite, test } from 'node:test'
import type { CallerRequest, CallerResponse } from '#http/caller'
import {
  frame,
  headers,
  ping,
  reset,
  settings,
  settingsAck,
  uint32,
  windowUpdate,
} from '../h2-client/scripted-peer.ts'
import { askH2, h2Client, h2Edge } from './h2-edge.ts'
import { block, continuation, preface, priority, rawCaller } from './raw-caller.ts'

/** Requests that came to the door, and of them those that are open now and at most. */
let came = 0
let open = 0
let mostOpen = 0
const waiting = new Set<CallerResponse>()
const edge = await h2Edge(
  (req: CallerRequest, res: CallerResponse) => {
    came += 1
    if (res.destroyed) return
    open += 1
    mostOpen = Math.max(mostOpen, open)
    res.once('close', () => {
      open -= 1
      waiting.delete(res)
    })
    if (req.url === '/wait') waiting.add(res)
    else res.writeHead(200, []).end('ok')
  },
  {
    http2: { maxConcurrentStreams: 20, resetBurst: 30, resetsPerSecond: 10, maxInvalidFrames: 20 },
  },
)
after(() => edge.listener.close(0))
afterEach(async () => {
  await until(() => open === 0)
  came = 0
  mostOpen = 0
  edge.turned.length = 0
  edge.abused.length = 0
})
const pause = () => new Promise((resolve) => setTimeout(resolve, 10))
const until = async (fits: () => boolean) => {
  for (let i = 0; !fits(); i++) {
    if (i > 800) throw new Error('it did not come')
    await pause()
  }
}
const wait = block({ ':path': '/wait' })
/** Odd, from 1. */
const streamIds = (count: number) => Array.from({ length: count }, (_, i) => 2 * i + 1)

/** Another caller's requests go on whatever this one does. */
const othersAreServed = async () => {
  const other = h2Client(edge.port)
  assert.equal((await askH2(other)).text, 'ok')
  other.close()
}

test('what a connection may ask for is announced', async () => {
  const caller = await rawCaller(edge.port)
  const { payload } = await caller.until(({ type, flags }) => type === 4 && flags === 0)
  const announced = new Map<number, number>()
  for (let at = 0; at + 6 <= payload.length; at += 6)
    announced.set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
  assert.deepEqual(
    [2, 3, 6].map((id) => announced.get(id)),
    [0, 20, 16_384],
    'no push, so many streams, so large a head',
  )
  assert.ok(!announced.get(8), 'no extended CONNECT (RFC 8441)')
  caller.destroy()
})

suite(
  'a connection that goes beyond a limit ends, is counted and told of, and harms nobody else',
  () => {
    test('rapid reset (CVE-2023-44487): few requests are begun, then GOAWAY', async () => {
      const caller = await rawCaller(edge.port)
      for (const id of streamIds(2000)) caller.send(headers(id, wait, true), reset(id, 8))
      await caller.ended()
      assert.ok(came <= 200, `${came} requests came to the door`)
      await until(() => edge.abused.length > 0)
      assert.equal(edge.abused.length, 1)
      assert.ok(edge.turned.includes('http2-connection') && edge.turned.includes('http2-stream'))
      await othersAreServed()
    })

    test('cancelling at a walking pace is no flood', async () => {
      const session = h2Client(edge.port)
      for (let i = 0; i < 25; i++) {
        const stream = session.request({ ':path': '/wait' })
        await until(() => open === 1)
        stream.close(8)
        await once(stream, 'close')
        await until(() => open === 0)
      }
      assert.equal((await askH2(session)).text, 'ok')
      assert.deepEqual(edge.abused, [])
      session.close()
    })

    test('a rapid reset that the caller makes us do (CVE-2025-8671)', async () => {
      const caller = await rawCaller(edge.port)
      for (const id of streamIds(500)) caller.send(headers(id, wait, true), windowUpdate(id, 0))
      await caller.ended()
      assert.ok(came <= 100, `${came} requests came to the door`)
      await until(() => edge.abused.length > 0)
      await othersAreServed()
    })

    test('a window of a stream beyond the highest', async () => {
      const caller = await rawCaller(edge.port)
      for (const id of streamIds(500))
        caller.send(headers(id, wait, true), windowUpdate(id, 2 ** 31 - 1))
      await caller.ended()
      assert.ok(came <= 100, `${came} requests came to the door`)
      await othersAreServed()
    })

    test('more streams than announced: the rest never comes to a door', async () => {
      const caller = await rawCaller(edge.port)
      await caller.until(({ type, flags }) => type === 4 && flags === 1)
      await pause()
      for (const id of streamIds(300)) caller.send(headers(id, wait, true))
      await caller.ended()
      assert.ok(mostOpen <= 20, `${mostOpen} were open at once`)
      await until(() => edge.abused.length > 0)
      assert.ok(edge.turned.includes('http2-connection'))
      await othersAreServed()
    })

    test('more streams than announced, by one who never acknowledged it', async () => {
      const caller = await rawCaller(edge.port, { acknowledges: false })
      for (const id of streamIds(300)) caller.send(headers(id, wait, true))
      await caller.ended()
      assert.ok(mostOpen <= 20, `${mostOpen} were open at once`)
      await othersAreServed()
    })

    test('CONTINUATION without an end (CVE-2024-27983)', async () => {
      const caller = await rawCaller(edge.port)
      caller.send(frame(1, 0, 1, block()))
      for (let i = 0; i < 2000; i++)
        caller.send(continuation(1, block({}, ['x-a', 'a'.repeat(100)])))
      await caller.ended()
      assert.equal(came, 0)
      await until(() => edge.abused.length > 0)
      await othersAreServed()
    })

    test('CONTINUATION, and gone in the middle', async () => {
      for (let i = 0; i < 20; i++) {
        const caller = await rawCaller(edge.port)
        caller.send(frame(1, 0, 1, block()), continuation(1, block()))
        caller.destroy()
      }
      assert.equal(came, 0)
      await othersAreServed()
    })

    test('a header list that is too large: its stream is refused unseen', async () => {
      const caller = await rawCaller(edge.port)
      await caller.until(({ type, flags }) => type === 4 && flags === 1)
      await pause()
      const large = Array.from({ length: 40 }, (_, i) => [`x-${i}`, 'a'.repeat(1000)] as const)
      const whole = block({}, ...large)
      caller.send(frame(1, 1, 1, whole.slice(0, 16_000)))
      caller.send(
        continuation(1, whole.slice(16_000, 32_000)),
        continuation(1, whole.slice(32_000), true),
      )
      assert.ok([1, 11].includes(await caller.reset(1)))
      assert.equal(came, 0)
      caller.destroy()
      await othersAreServed()
    })

    test('many header lists that are too large: the connection ends', async () => {
      const caller = await rawCaller(edge.port)
      const many = block({}, ...Array.from({ length: 300 }, (_, i) => [`x-${i}`, 'v'] as const))
      for (const id of streamIds(500)) caller.send(headers(id, many, true))
      await caller.ended()
      assert.equal(came, 0)
      await othersAreServed()
    })

    test('PING upon PING', async () => {
      const caller = await rawCaller(edge.port)
      for (let i = 0; i < 300; i++) caller.send(ping())
      assert.ok((await caller.ended()).includes(11))
      assert.equal(edge.abused.length, 1)
      await othersAreServed()
    })

    test('PING upon PING from one who reads no answer', async () => {
      const caller = await rawCaller(edge.port)
      caller.pause()
      for (let i = 0; i < 20_000; i++) caller.send(ping())
      await until(() => edge.abused.length === 1)
      caller.destroy()
      await othersAreServed()
    })

    test('SETTINGS upon SETTINGS', async () => {
      const caller = await rawCaller(edge.port)
      for (let i = 0; i < 300; i++) caller.send(settings([4, 65_535 + i]))
      assert.ok((await caller.ended()).includes(11))
      assert.equal(edge.abused.length, 1)
      await othersAreServed()
    })

    test('PING between requests, as some clients do, is no flood', async () => {
      const session = h2Client(edge.port)
      for (let i = 0; i < 300; i++) {
        await new Promise<void>((resolve) => session.ping(() => resolve()))
        if (i % 50 === 0) assert.equal((await askH2(session)).text, 'ok')
      }
      assert.deepEqual(edge.abused, [])
      session.close()
    })

    test('more settings than one frame may hold', async () => {
      const caller = await rawCaller(edge.port)
      caller.send(settings(...Array.from({ length: 100 }, () => [4, 65_535] as const)))
      await caller.ended()
      await othersAreServed()
    })

    test('DATA of nothing, on and on (CVE-2019-9518)', async () => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, block({ ':method': 'POST', ':path': '/wait' })))
      await until(() => came === 1)
      for (let i = 0; i < 1000; i++) caller.send(frame(0, 0, 1))
      await caller.ended()
      await until(() => edge.abused.length > 0)
      await othersAreServed()
    })

    test('PRIORITY upon PRIORITY, of itself too, changes nothing', async () => {
      const caller = await rawCaller(edge.port)
      for (let i = 0; i < 5000; i++) caller.send(priority(2 * (i % 50) + 1, i % 100))
      caller.send(headers(101, block(), true))
      await until(() => came === 1 || caller.isClosed())
      caller.destroy()
      await othersAreServed()
    })

    const malformed: readonly (readonly [name: string, ...octets: string[]])[] = [
      ['header compression that is none', headers(1, '\xff\xff\xff\xff\xff\xff\xff\xff')],
      ['an index of no entry', headers(1, '\xc2\xff\xff\x03')],
      ['a table larger than may be', headers(1, '\x3f\xe1\xff\x7f' + block())],
      ['DATA on no stream', frame(0, 0, 0, 'abc')],
      ['HEADERS on a stream of ours', headers(2, block(), true)],
      ['PUSH_PROMISE of a caller', frame(5, 4, 1, uint32(2) + block())],
      ['a frame larger than may be', frame(0, 0, 1, 'a'.repeat(17_000))],
      ['a SETTINGS of an odd length', frame(4, 0, 0, 'abcd')],
      ['a SETTINGS that answers with something', frame(4, 1, 0, 'abcdef')],
      ['a PING of seven', frame(6, 0, 0, '1234567')],
      ['a window of the connection of nothing', windowUpdate(0, 0)],
      ['padding longer than its frame', headers(1, block()), frame(0, 8, 1, '\xffabc')],
      ['CONTINUATION of nothing', continuation(1, block(), true)],
      ['another frame in the middle of a head', frame(1, 0, 1, block()), ping()],
    ]
    for (const [name, ...octets] of malformed)
      test(`malformed: ${name}`, async () => {
        const caller = await rawCaller(edge.port)
        caller.send(...octets)
        for (const code of await caller.ended()) assert.ok(code > 0, `GOAWAY ${code}`)
        assert.ok(came <= 1)
        await othersAreServed()
      })

    test('a stream older than the last never comes to a door', async () => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(5, block(), true))
      assert.equal(await caller.status(5), 200)
      caller.send(headers(3, block(), true), headers(7, block(), true))
      await until(() => caller.isClosed() || came === 2)
      await pause()
      assert.ok(came <= 2)
      caller.destroy()
      await othersAreServed()
    })

    test('no preface', async () => {
      const caller = await rawCaller(edge.port, {
        greeting: 'GET / HTTP/1.1\r\nhost: localhost\r\n\r\n',
      })
      await caller.ended()
      assert.equal(came, 0)
      await othersAreServed()
    })

    test('a preface without SETTINGS', async () => {
      const caller = await rawCaller(edge.port, { greeting: preface + headers(1, block(), true) })
      await caller.ended()
      await othersAreServed()
    })
  },
)

test('bodies that nobody reads are held back by the window, not by memory', async () => {
  const caller = await rawCaller(edge.port)
  const before = process.memoryUsage().rss
  const post = block({ ':method': 'POST', ':path': '/wait' })
  for (const id of streamIds(20)) caller.send(headers(id, post))
  await until(() => came === 20)
  // 64 KiB in all is what the connection's window has room for; the rest breaks the protocol.
  for (const id of streamIds(20))
    for (let i = 0; i < 64; i++) caller.send(frame(0, 0, id, 'a'.repeat(16_000)))
  await caller.ended()
  const grownMb = (process.memoryUsage().rss - before) / 1e6
  assert.ok(grownMb < 150, `${grownMb} MB more`)
})

test('an acknowledgement that nobody asked for ends nothing but its own', async () => {
  const caller = await rawCaller(edge.port)
  caller.send(settingsAck)
  caller.send(headers(1, block(), true))
  await until(() => caller.isClosed() || came === 1)
  caller.destroy()
  await othersAreServed()
})
