import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Readable } from 'node:stream'
import { after, afterEach, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, type Body, type BodyLimits } from '#http/body'
import { replyProblem } from '#http/problem-reply'
import { runEdge } from './fixtures.ts'
import { dial, head } from './wire.ts'

const noLimits: BodyLimits = {
  maxBodyBytes: 10e6,
  maxWaitMs: 0,
  minBytesPerSecond: 0,
  slowGraceMs: 0,
}
type Handler = (body: Body, res: ServerResponse, req: IncomingMessage) => Promise<void>
let handle: Handler
let limits = noLimits
/** Resolves with the body that the handler was given, once it is through with it. */
let handled = Promise.withResolvers<Body>()

const edge = await runEdge({
  doors: {
    request: async (req, res) => {
      const body = bodyOf(req, res, limits)
      await handle(body, res, req)
      handled.resolve(body)
    },
    upgrade: (_req, socket) => void socket.destroy(),
    connect: (_req, socket) => void socket.destroy(),
  },
})
after(() => edge.listener.close(0))
afterEach(() => {
  limits = noLimits
  handled = Promise.withResolvers()
})

const reply = (res: ServerResponse, value: unknown) => {
  const text = JSON.stringify(value)
  res.writeHead(200, { 'content-length': text.length }).end(text)
}
const readAll = async (taken: null | Buffer | Readable): Promise<Buffer> => {
  if (taken === null || Buffer.isBuffer(taken)) return taken ?? Buffer.alloc(0)
  return Buffer.concat(await taken.toArray())
}
/** Peeks, peeks again, takes, and tells what it saw. */
const peekThenTake =
  (maxBytes: number): Handler =>
  async (body, res) => {
    const first = await body.peek(maxBytes)
    const again = await body.peek(10)
    if (!first.ok) return void replyProblem(res, first.problem)
    assert.ok(again.ok)
    const taken = body.take()
    const all = await readAll(taken)
    reply(res, {
      expected: body.expected,
      peeked: first.value.bytes.length,
      whole: first.value.whole,
      again: again.value.bytes.length,
      stream: taken !== null && !Buffer.isBuffer(taken),
      length: all.length,
      start: all.toString('latin1', 0, 5),
      end: all.toString('latin1', all.length - 4),
      bytesIn: body.bytesIn(),
    })
  }
const post = (length: number) => head('POST /a HTTP/1.1', `Content-Length: ${length}`)
const chunkedPost = head('POST /a HTTP/1.1', 'Transfer-Encoding: chunked')
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`
const talk = async (...parts: string[]) => {
  const wire = await dial(edge.port)
  for (const part of parts) {
    wire.write(part)
    if (parts.length > 1) await sleep(1)
  }
  const answer = await wire.answer()
  wire.destroy()
  return answer
}

suite('a body that is peeked at and taken', () => {
  test('if there is none, nobody waits for', async () => {
    handle = peekThenTake(1000)
    const { expected, peeked, whole, length } = (await talk(head('POST /a HTTP/1.1'))).json()
    assert.deepEqual([expected, peeked, whole, length], [false, 0, true, 0])
  })

  test('if it is small, is whole and one Buffer', async () => {
    handle = peekThenTake(1000)
    const seen = (await talk(`${post(11)}hello there`)).json()
    assert.deepEqual(seen, {
      expected: true,
      peeked: 11,
      whole: true,
      again: 10,
      stream: false,
      length: 11,
      start: 'hello',
      end: 'here',
      bytesIn: 11,
    })
  })

  test('if it is exactly as long as the peek, is whole', async () => {
    handle = peekThenTake(1000)
    const seen = (await talk(post(1000) + 'z'.repeat(1000))).json()
    assert.deepEqual([seen.peeked, seen.whole, seen.stream], [1000, true, false])
  })

  test('if it is long, is streamed to the last byte', async () => {
    handle = peekThenTake(1000)
    const seen = (await talk(post(5_000_000), `START${'a'.repeat(4_999_991)}END!`)).json()
    assert.deepEqual([seen.peeked, seen.whole, seen.stream], [1000, false, true])
    assert.deepEqual(
      [seen.length, seen.start, seen.end, seen.bytesIn],
      [5_000_000, 'START', 'END!', 5_000_000],
    )
  })

  test('if it trickles in in chunks, is waited for', async () => {
    handle = peekThenTake(1000)
    const chunks = Array.from({ length: 30 }, () => chunk('x'.repeat(100)))
    const seen = (await talk(chunkedPost, ...chunks, chunk('END!'), '0\r\n\r\n')).json()
    assert.deepEqual([seen.peeked, seen.length, seen.end], [1000, 3004, 'END!'])
  })

  test('leaves the connection in order for the next request, taken, peeked at or neither', async () => {
    const seen: number[] = []
    handle = async (body, res, req) => {
      const peeked = req.url === '/peek' ? await body.peek(10) : undefined
      if (req.url === '/take') await readAll(body.take())
      seen.push(body.bytesIn())
      reply(res, peeked?.ok ?? null)
    }
    const wire = await dial(edge.port)
    for (const path of ['/take', '/peek', '/neither', '/take']) {
      wire.write(`${head(`POST ${path} HTTP/1.1`, 'Content-Length: 200000')}${'a'.repeat(200_000)}`)
      assert.equal((await wire.answer()).status, 200, path)
    }
    wire.destroy()
    assert.equal(seen.length, 4)
  })
})

suite('the owner of a body', () => {
  test('is one: a second take throws, and so does a peek after it', async () => {
    handle = async (body, res) => {
      await readAll(body.take())
      assert.throws(() => body.take(), /taken already/)
      assert.throws(() => body.peek(1), /before it is taken/)
      reply(res, 'ok')
    }
    assert.equal((await talk(`${post(3)}abc`)).status, 200)
  })

  for (const use of ['peek', 'take'] as const)
    test(`gets 100-continue sent by its first ${use}, not before`, async () => {
      const admit = Promise.withResolvers<void>()
      handle = async (body, res) => {
        await admit.promise
        if (use === 'peek') await body.peek(5)
        const all = await readAll(body.take())
        reply(res, all.toString())
      }
      const wire = await dial(edge.port)
      wire.write(head('POST /a HTTP/1.1', 'Content-Length: 5', 'Expect: 100-continue'))
      await sleep(30)
      assert.equal(wire.received(), '')
      admit.resolve()
      assert.equal((await wire.answer()).status, 100)
      wire.write('hello')
      assert.equal((await wire.answer()).json(), 'hello')
      wire.destroy()
    })

  test('never asks for a body that was refused by its head', async () => {
    handle = async (_body, res) => void replyProblem(res, { tag: 'policy-denied' })
    const wire = await dial(edge.port)
    wire.write(head('POST /a HTTP/1.1', 'Content-Length: 5', 'Expect: 100-continue'))
    assert.match(await wire.end(), /^HTTP\/1.1 403 [^]*connection: close/i)
  })
})

suite('a body that cannot be read whole', () => {
  const failing = (tag: string, consume: (body: Body) => Promise<unknown>) => async () => {
    const body = await handled.promise
    assert.equal(body.fault()?.tag, tag)
    await consume(body)
  }
  const consumers = {
    peek: async (body: Body) => {
      const peek = await body.peek(1e6)
      return peek.ok ? undefined : peek.problem.tag
    },
    take: (body: Body) =>
      readAll(body.take()).then(
        () => undefined,
        () => body.fault()?.tag,
      ),
  }
  const handleBy =
    (use: keyof typeof consumers): Handler =>
    async (body, res) => {
      const tag = await consumers[use](body)
      if (tag) replyProblem(res, { tag })
      else reply(res, 'whole')
    }

  for (const use of ['peek', 'take'] as const) {
    test(`is caller-gone when the caller leaves (${use})`, async () => {
      handle = handleBy(use)
      const wire = await dial(edge.port)
      wire.write(`${post(500)}abc`)
      await sleep(20)
      wire.destroy()
      await failing('caller-gone', async (body) => assert.equal(body.bytesIn(), 3))()
    })

    test(`is request-malformed when a chunk is broken, and the caller gets a 400 (${use})`, async () => {
      handle = handleBy(use)
      const wire = await dial(edge.port)
      wire.write(`${chunkedPost}${chunk('abc')}`)
      await sleep(20)
      wire.write('zz\r\n')
      const text = await wire.end()
      assert.match(text, /^HTTP\/1.1 400 /)
      assert.equal(text.split('HTTP/1.1 ').length, 2)
      await failing('request-malformed', async () => {})()
    })

    test(`is body-too-large by its announced length, without being asked for (${use})`, async () => {
      limits = { ...noLimits, maxBodyBytes: 100 }
      handle = handleBy(use)
      const wire = await dial(edge.port)
      wire.write(head('POST /a HTTP/1.1', 'Content-Length: 101', 'Expect: 100-continue'))
      assert.match(await wire.end(), /^HTTP\/1.1 413 /)
    })

    test(`is body-too-large once more has arrived (${use})`, async () => {
      limits = { ...noLimits, maxBodyBytes: 100 }
      handle = handleBy(use)
      const wire = await dial(edge.port)
      wire.write(chunkedPost + chunk('a'.repeat(60)) + chunk('a'.repeat(60)))
      assert.match(await wire.until(/\}$/), /^HTTP\/1.1 413 [^]*connection: close/i)
      await failing('body-too-large', async (body) => assert.ok(body.bytesIn() > 100))()
      wire.destroy()
    })

    for (const [why, slow] of [
      ['takes too long', { maxWaitMs: 100 }],
      ['sends too slowly', { minBytesPerSecond: 100 }],
    ] as const)
      test(`is request-timeout when the caller ${why} (${use})`, async () => {
        limits = { ...noLimits, ...slow }
        handle = handleBy(use)
        const wire = await dial(edge.port)
        wire.write(`${post(500)}abc`)
        assert.match(await wire.until(/\}$/), /^HTTP\/1.1 408 /)
        wire.destroy()
      })
  }

  for (const [name, send, consume] of [
    ['by its announced length', `${post(101)}${'a'.repeat(101)}`, undefined],
    ['once more has arrived', chunkedPost + chunk('a'.repeat(101)) + '0\r\n\r\n', undefined],
    ['though it was read whole before', `${post(101)}${'a'.repeat(101)}`, 1000],
  ] as const)
    test(`is body-too-large by the limit of its route, ${name}`, async () => {
      handle = async (body, res) => {
        if (consume !== undefined) assert.ok((await body.peek(consume)).ok)
        const taken = body.take(100)
        await readAll(taken).catch(() => {})
        reply(res, body.fault()?.tag ?? 'none')
      }
      assert.equal((await talk(send)).json(), 'body-too-large')
    })

  test('is not too large by the limit of its route if it just fits', async () => {
    handle = async (body, res) => reply(res, (await readAll(body.take(100))).length)
    assert.equal((await talk(post(100) + 'a'.repeat(100))).json(), 100)
  })

  test('does not come of a consumer that takes its time', async () => {
    limits = { ...noLimits, maxWaitMs: 200, minBytesPerSecond: 1e6 }
    handle = async (body, res) => {
      const stream = body.take()
      await sleep(600)
      reply(res, (await readAll(stream)).length)
    }
    assert.equal((await talk(post(400_000) + 'a'.repeat(400_000))).json(), 400_000)
  })

  test('in an upload that goes on after the refusal still lets the caller read why', async () => {
    limits = { ...noLimits, maxBodyBytes: 100_000 }
    handle = handleBy('take')
    const wire = await dial(edge.port)
    wire.write(chunkedPost)
    for (let i = 0; i < 10; i++) wire.write(chunk('a'.repeat(60_000)))
    wire.write('0\r\n\r\n')
    assert.match(await wire.end(), /^HTTP\/1.1 413 [^]*body-too-large/)
  })

  test('in an upload that goes on and on lets the caller read why, also if it looks late', async () => {
    limits = { ...noLimits, maxBodyBytes: 100_000 }
    handle = handleBy('take')
    const wire = await dial(edge.port)
    wire.socket.pause()
    wire.write(chunkedPost)
    const more = chunk('a'.repeat(60_000))
    const sending = setInterval(() => {
      while (!wire.socket.writableNeedDrain && !wire.socket.destroyed) wire.write(more)
    }, 5).unref()
    await sleep(1000)
    wire.socket.resume()
    assert.match(await wire.until(/\}$/), /^HTTP\/1.1 413 [^]*body-too-large/)
    await wire.end() // cut off in the end
    clearInterval(sending)
  })
})

test('a consumer that does not read holds the caller back, and its memory', async () => {
  const stop = Promise.withResolvers<void>()
  handle = async (body, res) => {
    await body.peek(1000)
    const stream = body.take() as Readable
    await stop.promise
    assert.ok(stream.readableLength < 1e6, `${stream.readableLength} bytes held`)
    stream.destroy()
    res.destroy()
  }
  const wire = await dial(edge.port)
  wire.write(post(9_000_000_00 / 100))
  const piece = Buffer.alloc(65_536)
  let sentBytes = 0
  for (let i = 0; i < 1000; i++) {
    sentBytes += piece.length
    if (wire.socket.write(piece)) continue
    const drained = await Promise.race([
      once(wire.socket, 'drain').then(() => true),
      sleep(200, false),
    ])
    if (!drained) break
  }
  assert.ok(sentBytes < 9_000_000, `${sentBytes} bytes went out`)
  stop.resolve()
  const body = await handled.promise
  assert.ok(body.bytesIn() < 1_000_000, `${body.bytesIn()} bytes were read`)
  wire.destroy()
})
