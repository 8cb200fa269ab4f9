import assert from 'node:assert/strict'
import { after, afterEach, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Doors } from '#http/doors'
import { replyProblem, replyProblemOnSocket } from '#http/problem-reply'
import { runEdge, serverTls, trusting } from './fixtures.ts'
import { dial, head } from './wire.ts'

const closedDoors: Pick<Doors, 'request' | 'upgrade' | 'connect'> = {
  request: (_req, res) => void res.writeHead(200, { 'content-length': 2 }).end('ok'),
  upgrade: (_req, socket) => void replyProblemOnSocket(socket, { tag: 'upgrade-refused' }),
  connect: (_req, socket) => void replyProblemOnSocket(socket, { tag: 'method-not-allowed' }),
}
let doors = closedDoors
const logged: unknown[] = []
const edge = await runEdge({
  limits: {
    headersTimeoutMs: 300,
    requestTimeoutMs: 600,
    maxRequestsPerConnection: 3,
    maxHeaderPairs: 20,
  },
  doors: {
    request: (req, res) => doors.request(req, res),
    upgrade: (req, socket, early) => doors.upgrade(req, socket, early),
    connect: (req, socket, early) => doors.connect(req, socket, early),
  },
  log: { info: () => {}, warn: () => {}, error: (fields) => void logged.push(fields) },
})
const tlsEdge = await runEdge({ tls: serverTls, doors: closedDoors })
after(() => Promise.all([edge.listener.close(0), tlsEdge.listener.close(0)]))
afterEach(() => {
  doors = closedDoors
  edge.turned.length = 0
  tlsEdge.turned.length = 0
  logged.length = 0
})
const get = head('GET /a HTTP/1.1')

suite('every way in has its door', () => {
  test('a request', async () => {
    const wire = await dial(edge.port)
    wire.write(get)
    assert.equal((await wire.answer()).body, 'ok')
    wire.destroy()
  })

  test('a request that waits for 100-continue comes to it without one', async () => {
    doors = {
      ...closedDoors,
      request: (_req, res) => void replyProblem(res, { tag: 'token-missing' }, 'id-1'),
    }
    const wire = await dial(edge.port)
    wire.write(head('POST /a HTTP/1.1', 'Expect: 100-continue', 'Content-Length: 5'))
    assert.match(
      await wire.end(),
      /^HTTP\/1.1 401 [^]*x-sallyport-decision-id: id-1[^]*connection: close/i,
    )
  })

  for (const [door, line, extra] of [
    ['upgrade', 'GET /ws HTTP/1.1', ['Connection: Upgrade', 'Upgrade: websocket']],
    ['connect', 'CONNECT x:443 HTTP/1.1', ['Host: x:443']],
  ] as const) {
    test(`${door}, with the bytes that came behind it`, async () => {
      doors = {
        ...closedDoors,
        [door]: (_req: unknown, socket: import('node:stream').Duplex, early: Buffer) => {
          socket.write(`HTTP/1.1 200 OK\r\n\r\n${early.toString()}|`)
          socket.pipe(socket)
        },
      }
      const wire = await dial(edge.port)
      wire.write(`${head(line, ...extra)}early`)
      await wire.until(/early\|$/)
      wire.write('late')
      await wire.until(/early\|late$/)
      wire.destroy()
    })

    test(`${door}, and a caller that resets there ends nobody but itself`, async () => {
      const closed = Promise.withResolvers<void>()
      doors = {
        ...closedDoors,
        [door]: (_req: unknown, socket: import('node:stream').Duplex) => {
          socket.on('close', () => closed.resolve())
          socket.write('HTTP/1.1 200 OK\r\n\r\n')
          socket.resume()
        },
      }
      const wire = await dial(edge.port)
      wire.write(head(line, ...extra))
      await wire.until(/200/)
      wire.socket.resetAndDestroy()
      await closed.promise
    })
  }
})

suite('what Node would answer by itself is answered by us, once, and counted', () => {
  for (const [name, send, status, reason] of [
    ['a name with a space', 'GET / HTTP/1.1\r\nfoo : bar\r\n\r\n', 400, 'parse'],
    [
      'a head that is too large',
      head('GET / HTTP/1.1', `x: ${'y'.repeat(20_000)}`),
      431,
      'headers-too-large',
    ],
    [
      'too many headers',
      head('GET / HTTP/1.1', ...Array.from({ length: 30 }, (_, i) => `x${i}: y`)),
      431,
      'headers-too-large',
    ],
    ['an expectation', head('GET / HTTP/1.1', 'Expect: wonders'), 417, 'expectation'],
    ['a head that never ends', 'GET / HTTP/1.1\r\nHost: a\r\n', 408, 'timeout'],
    ['silence', '', 408, 'timeout'],
  ] as const)
    test(name, async () => {
      const wire = await dial(edge.port)
      wire.write(send)
      const text = await wire.end()
      assert.equal(text.slice(0, 12), `HTTP/1.1 ${status}`)
      assert.match(text, /connection: close/i)
      assert.match(text, /urn:sallyport:problem:/)
      assert.deepEqual(edge.turned, [reason])
    })

  test('a caller that is still sending its head can read why, also if it looks late', async () => {
    const wire = await dial(edge.port)
    wire.socket.pause()
    wire.write(head('GET / HTTP/1.1', `x: ${'y'.repeat(2_000_000)}`))
    await sleep(300)
    wire.socket.resume()
    assert.match(await wire.end(), /^HTTP\/1.1 431 [^]*headers-too-large/)
    assert.deepEqual(edge.turned, ['headers-too-large'])
  })

  test('more requests than a connection may have: the last one says so, and it ends', async () => {
    const wire = await dial(edge.port)
    wire.write(get.repeat(5))
    const text = await wire.end()
    assert.equal(text.split('HTTP/1.1 200').length, 4)
    assert.match(text, /connection: close\r\n[^]*ok$/i)
    assert.deepEqual(edge.turned, ['requests-per-socket', 'requests-per-socket'])
  })

  test('a chunk extension without end', async () => {
    doors = { ...closedDoors, request: (req) => void req.resume().on('error', () => {}) }
    const wire = await dial(edge.port)
    wire.write(`${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}1;`)
    wire.socket.write(';a'.repeat(20_000))
    assert.match(await wire.end(), /^HTTP\/1.1 413 /)
  })

  test('more connections than allowed', async () => {
    const few = await runEdge({ limits: { maxConnections: 5 }, doors: closedDoors })
    const wires = await Promise.all(Array.from({ length: 5 }, () => dial(few.port)))
    const tooMany = await dial(few.port)
    assert.equal(await tooMany.end(), '')
    assert.deepEqual(few.turned, ['too-many-connections'])
    for (const wire of wires) wire.destroy()
    await few.listener.close(0)
  })

  test('a handshake that fails, and one that is not begun', async () => {
    const plain = await dial(tlsEdge.port)
    plain.write(get)
    await plain.end()
    assert.deepEqual(tlsEdge.turned, ['tls'])
    const distrusting = await dial(tlsEdge.port, { rejectUnauthorized: true })
    await distrusting.end()
    const silent = await dial(tlsEdge.port)
    silent.destroy()
    while (tlsEdge.turned.length < 2) await sleep(5)
    const sound = await dial(tlsEdge.port, trusting)
    sound.write(get)
    assert.equal((await sound.answer()).body, 'ok')
    sound.destroy()
  })
})

suite('a request that breaks off in its body', () => {
  test('is not counted as turned away: it came to its door', async () => {
    doors = { ...closedDoors, request: (req) => void req.resume().on('error', () => {}) }
    const wire = await dial(edge.port)
    wire.write(`${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`)
    assert.match(await wire.end(), /^HTTP\/1.1 400 /)
    assert.deepEqual(edge.turned, [])
  })

  test('adds nothing to an answer that has begun', async () => {
    doors = {
      ...closedDoors,
      request: (req, res) => {
        req.resume().on('error', () => {})
        res.writeHead(200, { 'content-length': 100 }).write('begun')
      },
    }
    const wire = await dial(edge.port)
    wire.write(head('POST / HTTP/1.1', 'Transfer-Encoding: chunked'))
    await wire.until(/begun$/)
    wire.write('zz\r\n')
    assert.match(await wire.end(), /begun$/)
  })

  test('gets no answer before the one that is due first', async () => {
    const slow = Promise.withResolvers<void>()
    doors = {
      ...closedDoors,
      request: async (req, res) => {
        req.resume().on('error', () => {})
        await slow.promise
        res.end('first')
      },
    }
    const wire = await dial(edge.port)
    wire.write(`${get}${head('POST / HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`)
    assert.equal(await wire.end(), '')
    slow.resolve()
  })

  test('by taking too long gets a 408', async () => {
    doors = { ...closedDoors, request: (req) => void req.resume().on('error', () => {}) }
    const wire = await dial(edge.port)
    wire.write(`${head('POST / HTTP/1.1', 'Content-Length: 5')}abc`)
    assert.match(await wire.end(), /^HTTP\/1.1 408 /)
  })
})

suite('a bug behind a door', () => {
  for (const [kind, request] of [
    [
      'thrown',
      () => {
        throw new TypeError('ours')
      },
    ],
    [
      'rejected',
      async () => {
        throw new TypeError('ours')
      },
    ],
  ] as const)
    test(`is a 500 and a line in the log (${kind})`, async () => {
      doors = { ...closedDoors, request }
      const wire = await dial(edge.port)
      wire.write(get)
      const answer = await wire.answer()
      assert.equal(answer.status, 500)
      assert.equal(answer.json().type, 'urn:sallyport:problem:internal')
      assert.doesNotMatch(answer.body, /ours[^ ]|TypeError/)
      assert.equal(logged.length, 1)
      wire.destroy()
    })

  test('at an upgrade is a 500 too', async () => {
    doors = {
      ...closedDoors,
      upgrade: () => {
        throw new TypeError('ours')
      },
    }
    const wire = await dial(edge.port)
    wire.write(head('GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'))
    assert.match(await wire.end(), /^HTTP\/1.1 500 /)
    assert.equal(logged.length, 1)
  })
})
