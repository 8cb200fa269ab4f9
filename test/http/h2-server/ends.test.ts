import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, defaultBodyLimits } from '#http/body'
import type { CallerRequest, CallerResponse } from '#http/caller'
import { data, frame, headers, settings, windowUpdate } from '../h2-client/scripted-peer.ts'
import { askH2, h2Client, h2Edge } from './h2-edge.ts'
import { block, preface, priority, rawCaller } from './raw-caller.ts'

const until = async (fits: () => boolean) => {
  for (let i = 0; !fits(); i++) {
    if (i > 1000) throw new Error('it did not come')
    await sleep(10)
  }
}
const never = () => {}
const goneOf = (res: CallerResponse): AbortSignal => {
  const gone = new AbortController()
  res.once('close', () => gone.abort())
  return gone.signal
}
const large = Buffer.alloc(8_000_000, 'a')
/** What became of the answers that were begun. */
const ends: string[] = []

const take = async (req: CallerRequest, res: CallerResponse) => {
  res.once('close', () => ends.push(res.writableFinished ? 'whole' : 'cut'))
  switch (req.url) {
    case '/never':
      return
    case '/large':
      return void res.writeHead(200, []).end(large)
    case '/stream': {
      const signal = goneOf(res)
      res.writeHead(200, [])
      for (let i = 0; i < 1000 && !res.destroyed; i++)
        if (!res.write(large.subarray(0, 65_536))) await once(res, 'drain', { signal }).catch(never)
      return void res.end()
    }
    case '/slow':
      await sleep(1500)
      return void res.writeHead(200, []).end('slow')
    case '/count': {
      const taken = bodyOf(req, res, defaultBodyLimits).take()
      let bytes = 0
      if (taken !== null && !Buffer.isBuffer(taken))
        for await (const chunk of taken) {
          bytes += (chunk as Buffer).length
          await sleep(1)
        }
      return void res.writeHead(200, []).end(String(bytes))
    }
    default:
      res.writeHead(200, []).end('ok')
  }
}
const withEdge = async (
  options: Parameters<typeof h2Edge>[1],
  use: (edge: Awaited<ReturnType<typeof h2Edge>>) => Promise<void>,
) => {
  ends.length = 0
  const edge = await h2Edge(take, options)
  try {
    await use(edge)
  } finally {
    await edge.listener.close(0)
  }
}
const get = (path: string) => block({ ':path': path })

suite('a connection ends', () => {
  test('that has no request for too long: told first, without a fault', () =>
    withEdge({ http2: { idleTimeoutMs: 200 } }, async (edge) => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, get('/a'), true))
      assert.equal(await caller.status(1), 200)
      assert.deepEqual([...new Set(await caller.ended())], [0])
      assert.deepEqual([edge.turned, edge.abused], [[], []])
    }))

  test('that sends half a head and no more', () =>
    withEdge({ http2: { idleTimeoutMs: 200 } }, async (edge) => {
      const caller = await rawCaller(edge.port)
      caller.send(frame(1, 1, 1, block().slice(0, 5)))
      await caller.ended()
    }))

  test('that says nothing after the handshake', () =>
    withEdge({ http2: { idleTimeoutMs: 200 } }, async (edge) => {
      const caller = await rawCaller(edge.port, { greeting: '' })
      await caller.ended()
    }))

  test('that keeps itself awake with PING alone', () =>
    withEdge({ http2: { idleTimeoutMs: 300 } }, async (edge) => {
      const session = h2Client(edge.port)
      await askH2(session)
      const pings = setInterval(
        () => !session.destroyed && !session.closed && session.ping(never),
        50,
      )
      await once(session, 'close')
      clearInterval(pings)
    }))

  test('that has had its requests: those under way are answered', () =>
    withEdge({ limits: { maxRequestsPerConnection: 3 } }, async (edge) => {
      const session = h2Client(edge.port)
      const goaway = once(session, 'goaway')
      const answers = await Promise.all([
        askH2(session, { ':path': '/slow' }),
        askH2(session),
        askH2(session),
      ])
      assert.deepEqual(
        answers.map(({ text }) => text),
        ['slow', 'ok', 'ok'],
      )
      assert.equal((await goaway)[0], 0)
      if (!session.destroyed) await once(session, 'close')
    }))

  test('whose other end is cut off: what is open is not touched, nothing new is taken', () =>
    withEdge({}, async (edge) => {
      const session = h2Client(edge.port)
      const other = h2Client(edge.port)
      const slow = askH2(session, { ':path': '/slow' })
      await askH2(other)
      const otherPort = (other.socket as { localPort?: number }).localPort
      edge.listener.cutIdle(({ port }) => port !== otherPort)
      assert.equal((await slow).text, 'slow')
      if (!session.destroyed) await once(session, 'close')
      assert.equal((await askH2(other)).text, 'ok')
      other.close()
    }))

  for (const [name, flood] of [
    ['priority', priority(1, 3)],
    ['kinds that nobody knows', frame(32, 0, 0, 'abcdefgh')],
    ['window', windowUpdate(0, 1)],
  ] as const)
    test(`on which frames of ${name} come one after the other`, () =>
      withEdge({ limits: { slowReadGraceMs: 400 } }, async (edge) => {
        const caller = await rawCaller(edge.port)
        const timer = setInterval(() => caller.send(flood.repeat(40_000)), 20)
        await caller.ended()
        clearInterval(timer)
        await until(() => edge.abused.length === 1)
      }))
})

suite('a drain', () => {
  test('goes on serving, then says what is served, answers that, and says so of nothing else', () =>
    withEdge({}, async (edge) => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, get('/slow'), true))
      edge.listener.drain()
      caller.send(headers(3, get('/a'), true))
      assert.equal(await caller.status(3), 200)
      const closed = edge.listener.close(8000)
      const { payload } = await caller.until(({ type }) => type === 7)
      assert.deepEqual([payload.readUInt32BE(0), payload.readUInt32BE(4)], [3, 0])
      caller.send(headers(5, get('/a'), true)) // was on its way: it may be sent again elsewhere
      assert.equal(await caller.status(1), 200)
      assert.ok((await caller.ended()).every((code) => code === 0))
      await closed
      assert.deepEqual(ends, ['whole', 'whole'])
    }))

  test('ends a connection as soon as its requests are answered', () =>
    withEdge({}, async (edge) => {
      const session = h2Client(edge.port)
      await askH2(session)
      edge.listener.drain()
      const goaway = once(session, 'goaway')
      assert.equal((await askH2(session)).text, 'ok')
      assert.equal((await goaway)[0], 0)
      if (!session.destroyed) await once(session, 'close')
    }))

  test('a large answer that is under way arrives whole', () =>
    withEdge({}, async (edge) => {
      const session = h2Client(edge.port)
      const stream = session.request({ ':path': '/large' })
      await once(stream, 'response')
      const closed = edge.listener.close(8000)
      let bytes = 0
      stream.on('data', (chunk: Buffer) => (bytes += chunk.length))
      await once(stream, 'end')
      assert.equal(bytes, large.length)
      await closed
    }))

  test('what does not end in time is ended', () =>
    withEdge({}, async (edge) => {
      const session = h2Client(edge.port)
      const stream = session.request({ ':path': '/never' })
      stream.on('error', never)
      const gone = once(stream, 'close')
      await until(() => edge.listener.connections() === 1)
      await askH2(session)
      await edge.listener.close(300)
      await gone
      await until(() => ends.includes('cut'))
    }))
})

suite('a caller that does not read', () => {
  const noWindow = preface + settings([4, 0])

  test('gives no window: only its stream is cut, the others go on', () =>
    withEdge(
      { limits: { slowReadGraceMs: 1000, minReadBytesPerSecond: 1_000_000_000 } },
      async (edge) => {
        const caller = await rawCaller(edge.port, { greeting: noWindow })
        caller.send(headers(1, get('/large'), true))
        assert.equal(await caller.status(1), 200)
        assert.equal(await caller.reset(1), 2)
        await until(() => ends.includes('cut'))
        caller.send(headers(3, get('/a'), true), windowUpdate(3, 100))
        await caller.until(({ type, streamId }) => type === 0 && streamId === 3)
        caller.destroy()
      },
    ))

  test('gives a window byte by byte', () =>
    withEdge(
      { limits: { slowReadGraceMs: 1000, minReadBytesPerSecond: 100_000_000 } },
      async (edge) => {
        const caller = await rawCaller(edge.port, { greeting: noWindow })
        caller.send(headers(1, get('/large'), true))
        const timer = setInterval(() => caller.send(windowUpdate(1, 1)), 5)
        assert.equal(await caller.reset(1), 2)
        clearInterval(timer)
        caller.destroy()
      },
    ))

  test('gives windows and reads nothing from its socket: the connection ends', () =>
    withEdge(
      {
        limits: { slowReadGraceMs: 1000, minReadBytesPerSecond: 1_000_000_000 },
        http2: { idleTimeoutMs: 200 },
      },
      async (edge) => {
        const caller = await rawCaller(edge.port, {
          greeting: preface + settings([4, 2 ** 31 - 1]) + windowUpdate(0, 2 ** 30),
        })
        caller.pause()
        for (const id of [1, 3, 5, 7]) caller.send(headers(id, get('/stream'), true))
        await until(() => edge.listener.connections() === 0)
        await until(() => ends.length === 4)
        assert.ok(ends.includes('cut'))
        caller.destroy()
      },
    ))

  test('does not keep a stream waiting for ever: nothing moves, and it is ended', () =>
    withEdge({ limits: { stalledTimeoutMs: 500, slowReadGraceMs: 1000 } }, async (edge) => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, get('/never'), true))
      await caller.ended()
    }))
})

suite('bodies flow as fast as they are read', () => {
  test('down', () =>
    withEdge({}, async (edge) => {
      const session = h2Client(edge.port)
      const { text } = await askH2(session, { ':path': '/large' })
      assert.equal(text.length, large.length)
      session.close()
    }))

  test('up, whatever window is given', () =>
    withEdge({ http2: { receiveWindowBytes: 200_000 } }, async (edge) => {
      const session = h2Client(edge.port)
      const size = 3_000_000
      const { text } = await askH2(
        session,
        { ':path': '/count', ':method': 'POST' },
        large.subarray(0, size),
      )
      assert.equal(text, String(size))
      session.close()
    }))

  test('up, and nobody reads: the caller gets no more window than it began with', () =>
    withEdge({}, async (edge) => {
      const caller = await rawCaller(edge.port)
      const windows = () => caller.frames.filter(({ type }) => type === 8).length
      const part = 'a'.repeat(10_000)
      const send = (id: number, path: string, parts: number) =>
        caller.send(
          headers(id, block({ ':method': 'POST', ':path': path })),
          ...Array.from({ length: parts }, () => data(id, part, false)),
        )
      send(1, '/never', 3)
      await sleep(200)
      assert.equal(windows(), 0)
      send(3, '/count', 3)
      caller.send(data(3, part))
      assert.equal(await caller.status(3), 200)
      assert.ok(windows() > 0, 'read ones are given back')
      caller.destroy()
    }))
})

test('DATA after the end of a request is its own fault', () =>
  withEdge({}, async (edge) => {
    const caller = await rawCaller(edge.port)
    caller.send(headers(1, get('/never'), true), data(1, 'more'))
    await caller.until(({ type }) => type === 3 || type === 7)
    caller.destroy()
  }))
