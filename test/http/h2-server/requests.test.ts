import assert from 'node:assert/strict'
import { once } from 'node:events'
import { after, afterEach, suite, test } from 'node:test'
import { bodyOf, defaultBodyLimits } from '#http/body'
import type { CallerRequest, CallerResponse } from '#http/caller'
import { discardRest } from '#http/discard'
import { replyProblem } from '#http/problem-reply'
import { rawGate, strictGate } from '#http/raw-gate'
import { trusting } from '../fixtures.ts'
import { data, frame, headers, reset } from '../h2-client/scripted-peer.ts'
import { dial, head } from '../wire.ts'
import { askH2, h2Client, h2Edge } from './h2-edge.ts'
import { block, rawCaller } from './raw-caller.ts'

const gate = rawGate(strictGate)
type Seen = { tag: string; path?: string; host?: string; headers?: readonly string[] }
const seen: Seen[] = []
/** What became of each body: its bytes, or why there are none. */
const bodies: string[] = []

/** As the pipeline does: the gate, then the body by its one owner, then an answer that tells of both. */
const take = async (req: CallerRequest, res: CallerResponse) => {
  const body = bodyOf(req, res, { ...defaultBodyLimits, maxBodyBytes: 1_000_000 })
  const judged = gate(req)
  if (!judged.ok) {
    seen.push({ tag: judged.problem.tag })
    return void replyProblem(res, judged.problem, 'id-1')
  }
  const { path, host, headers: kept } = judged.value
  seen.push({ tag: 'passed', path, host, headers: kept })
  if (path === '/early') return void replyProblem(res, { tag: 'token-missing' }, 'id-1')
  if (path === '/none') return void res.writeHead(204, []).end()
  if (path === '/later') await new Promise((resolve) => setTimeout(resolve, 50))
  const taken = body.take()
  const bytes =
    taken === null || Buffer.isBuffer(taken) ? (taken ?? Buffer.alloc(0)) : await read(taken)
  bodies.push(bytes === undefined ? (body.fault()?.tag ?? 'none') : `whole ${bytes.length}`)
  if (bytes === undefined) return void replyProblem(res, body.fault() ?? { tag: 'internal' })
  res.writeHead(200, ['content-type', 'text/plain', 'set-cookie', 'a=1', 'set-cookie', 'b=2'])
  res.end(`got ${bytes.length}`)
}
const read = async (stream: AsyncIterable<Buffer>): Promise<Buffer | undefined> => {
  const chunks: Buffer[] = []
  try {
    for await (const chunk of stream) chunks.push(chunk)
    return Buffer.concat(chunks)
  } catch {
    return undefined
  }
}
const edge = await h2Edge(take, {
  limits: { requestTimeoutMs: 1000 },
  isOwn: (req) => req.url === '/health',
  own: (app) => app.get('/health', () => ({ ready: true })),
})
after(() => edge.listener.close(0))
afterEach(() => {
  seen.length = 0
  bodies.length = 0
  edge.turned.length = 0
  edge.abused.length = 0
})
const post = (...fields: readonly (readonly [string, string])[]) =>
  block({ ':method': 'POST' }, ...fields)
const patiently = async <T>(look: () => T | undefined): Promise<T> => {
  for (let i = 0; i < 800; i++) {
    const found = look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error('it did not come')
}

suite('a request comes to the same gate, and its answer goes back', () => {
  test('a client of Node, several requests on one connection', async () => {
    const session = h2Client(edge.port)
    const answers = await Promise.all([
      askH2(session, { ':path': '/a?b=c', cookie: ['x=1', 'y=2'] }),
      askH2(session, { ':path': '/b', ':method': 'POST', 'content-length': '3' }, 'abc'),
      askH2(session, { ':path': '/c', ':method': 'POST' }, 'unknown'),
      askH2(session, { ':path': '/d', ':method': 'HEAD' }),
      askH2(session, { ':path': '/none' }),
    ])
    assert.deepEqual(
      answers.map(({ status, text }) => [status, text]),
      [
        [200, 'got 0'],
        [200, 'got 3'],
        [200, 'got 7'],
        [200, ''],
        [204, ''],
      ],
    )
    assert.deepEqual(answers[0]?.headers['set-cookie'], ['a=1', 'b=2'])
    assert.deepEqual(seen[0], {
      tag: 'passed',
      path: '/a',
      host: 'localhost',
      headers: ['host', `localhost:${edge.port}`, 'cookie', 'x=1; y=2'],
    })
    session.close()
  })

  test('a body that ends without a byte is whole, also to whoever reads it later', async () => {
    const session = h2Client(edge.port)
    for (const path of ['/a', '/later']) {
      const { status, text } = await askH2(session, { ':path': path, ':method': 'POST' }, '')
      assert.deepEqual([status, text], [200, 'got 0'], path)
    }
    session.close()
  })
  test('HTTP/1.1 is served beside it', async () => {
    const wire = await dial(edge.port, trusting)
    wire.write(head('GET /a HTTP/1.1'))
    await wire.until(/got 0/)
    wire.write(head('GET /a HTTP/2.0'))
    assert.match(await wire.until(/request-malformed/), /HTTP\/2.0 is not served here/)
    wire.destroy()
  })

  test('a path of our own is answered by Fastify', async () => {
    const session = h2Client(edge.port)
    const { status, text, headers: got } = await askH2(session, { ':path': '/health' })
    assert.deepEqual([status, text, got['connection']], [200, '{"ready":true}', undefined])
    assert.equal(seen.length, 0)
    session.close()
  })

  test('trailers of a caller reach nobody', async () => {
    const caller = await rawCaller(edge.port)
    const trailers = block(
      { ':method': undefined, ':scheme': undefined, ':authority': undefined, ':path': undefined },
      ['x-forwarded-user', 'admin'],
    )
    caller.send(headers(1, post()), data(1, 'abc', false), headers(1, trailers, true))
    assert.equal(await caller.status(1), 200)
    assert.deepEqual(bodies, ['whole 3'])
    assert.ok(!JSON.stringify(seen).includes('admin'))
    caller.destroy()
  })

  test('what a caller expects before it sends, it gets', async () => {
    const session = h2Client(edge.port)
    const stream = session.request({ ':path': '/a', ':method': 'POST', expect: '100-continue' })
    const responded = once(stream, 'response')
    await once(stream, 'continue')
    stream.end('abc')
    const [got] = (await responded) as [Record<string, unknown>]
    assert.equal(got[':status'], 200)
    session.close()
  })
})

suite('what is not to be believed is refused', () => {
  const refused: readonly (readonly [name: string, block: string, tag: string, status: number])[] =
    [
      ['a host that is not the authority', block({}, ['host', 'evil.test']), 'host-invalid', 400],
      ['another scheme', block({ ':scheme': 'http' }), 'request-malformed', 400],
      ['a target that is a fragment', block({ ':path': '/a#b' }), 'path-invalid', 400],
      ['a target with a backslash', block({ ':path': '/a\\b' }), 'path-invalid', 400],
      ['two beginnings of a path', block({ ':path': '//evil/x' }), 'path-invalid', 400],
      [
        'OPTIONS of the whole server',
        block({ ':method': 'OPTIONS', ':path': '*' }),
        'request-malformed',
        400,
      ],
      ['TRACE', block({ ':method': 'TRACE' }), 'method-not-allowed', 405],
      ['a method in lower case', block({ ':method': 'get' }), 'method-not-allowed', 405],
      [
        'CONNECT',
        block({ ':method': 'CONNECT', ':scheme': undefined, ':path': undefined }),
        'method-not-allowed',
        405,
      ],
      [
        'two Authorization',
        block({}, ['authorization', 'a'], ['authorization', 'b']),
        'header-repeated',
        400,
      ],
      ['an underscore in a name', block({}, ['x_forwarded_user', 'a']), 'header-invalid', 400],
      [
        'more headers than the gate takes',
        block({}, ...Array.from({ length: 101 }, (_, i) => [`x-${i}`, 'v'] as const)),
        'headers-too-large',
        431,
      ],
      [
        'a target that is too long',
        block({ ':path': `/${'a'.repeat(9000)}` }),
        'target-too-long',
        414,
      ],
      [
        'an expectation that nobody knows',
        block({}, ['expect', 'miracles']),
        'expectation-failed',
        417,
      ],
    ]
  for (const [name, fields, tag, status] of refused)
    test(`${name}: ${tag}`, async () => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, fields, true))
      assert.equal(await caller.status(1), status)
      assert.deepEqual(seen, [{ tag }])
      // Streams are framed: the next one is none the worse for it.
      caller.send(headers(3, block(), true))
      assert.equal(await caller.status(3), 200)
      caller.destroy()
    })

  test('a head that is too large, by one who never acknowledged how large it may be', async () => {
    const caller = await rawCaller(edge.port, { acknowledges: false })
    const large = Array.from({ length: 40 }, (_, i) => [`x-${i}`, 'a'.repeat(1000)] as const)
    const whole = block({}, ...large)
    caller.send(frame(1, 1, 1, whole.slice(0, 16_000)))
    caller.send(frame(9, 0, 1, whole.slice(16_000, 32_000)), frame(9, 4, 1, whole.slice(32_000)))
    assert.equal(await caller.status(1), 431)
    assert.deepEqual(seen, [{ tag: 'headers-too-large' }])
    caller.destroy()
  })

  test('a body that a GET may not have, whatever its length', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(headers(1, block()), data(1, 'abc'))
    assert.equal(await caller.status(1), 400)
    assert.deepEqual(seen, [{ tag: 'request-malformed' }])
    caller.destroy()
  })

  const reset1 = 'reset unseen'
  const unseen: readonly (readonly [name: string, block: string])[] = [
    ['two paths', block({}, [':path', '/b'])],
    ['no path', block({ ':path': '' })],
    ['a path that is a URL', block({ ':path': 'https://evil.test/' })],
    ['two hosts', block({ ':authority': undefined }, ['host', 'a.test'], ['host', 'b.test'])],
    ['no host at all', block({ ':authority': undefined })],
    ['someone before the host', block({ ':authority': 'user@localhost' })],
    ['a pseudo-header that nobody knows', block({ ':user': 'admin' })],
    ['a pseudo-header of answers', block({ ':status': '200' })],
    ['a pseudo-header behind the others', block({}, ['x-a', 'b'], [':method', 'POST'])],
    [
      'WebSocket (RFC 8441), which is not offered',
      block({ ':method': 'CONNECT', ':protocol': 'websocket' }),
    ],
    ['connection', block({}, ['connection', 'x-user'])],
    ['keep-alive', block({}, ['keep-alive', '5'])],
    ['proxy-connection', block({}, ['proxy-connection', 'close'])],
    ['transfer-encoding', block({}, ['transfer-encoding', 'chunked'])],
    ['upgrade', block({}, ['upgrade', 'h2c'])],
    ['te other than trailers', block({}, ['te', 'gzip'])],
    ['upper case in a name', block({}, ['X-User', 'a'])],
    ['two lengths', block({ ':method': 'POST' }, ['content-length', '1'], ['content-length', '2'])],
    ['a length that is no number', block({ ':method': 'POST' }, ['content-length', '+1'])],
    ['a length and no body', block({ ':method': 'POST' }, ['content-length', '5'])],
  ]
  for (const [name, fields] of unseen)
    test(`${name}: ${reset1}`, async () => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, fields, true))
      assert.equal(await caller.reset(1), 1)
      caller.send(headers(3, block(), true))
      assert.equal(await caller.status(3), 200)
      assert.deepEqual(edge.turned, ['http2-stream'])
      assert.equal(seen.length, 1)
      caller.destroy()
      edge.turned.length = 0
    })

  test('a value with a line break or a space before it is not there for anyone', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(
      headers(
        1,
        block({}, ['x-a', 'b\r\nx-c: d'], ['x-e', ' f'], ['x-g', 'h\0i'], ['x-k', 'l']),
        true,
      ),
    )
    assert.equal(await caller.status(1), 200)
    assert.deepEqual(seen[0]?.headers, ['host', 'localhost', 'x-k', 'l'])
    caller.destroy()
  })
})

suite('half a body is never taken for a whole one', () => {
  for (const [name, code] of [
    ['cancelled', 8],
    ['reset without an error', 0],
    ['reset as refused', 7],
  ] as const)
    test(`${name}: caller-gone`, async () => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, post()), data(1, 'abc', false))
      await patiently(() => seen[0])
      caller.send(reset(1, code))
      assert.equal(await patiently(() => bodies[0]), 'caller-gone')
      caller.destroy()
    })

  for (const [name, how] of [
    ['gone', 'destroy'],
    ['reset', 'breakOff'],
  ] as const)
    test(`the connection is ${name} in the middle: caller-gone, which is nobody's fault`, async () => {
      const caller = await rawCaller(edge.port)
      caller.send(headers(1, post()), data(1, 'abc', false))
      await patiently(() => seen[0])
      caller[how]()
      assert.equal(await patiently(() => bodies[0]), 'caller-gone')
      assert.deepEqual([edge.turned, edge.abused], [[], []])
    })

  test('shorter than announced: request-malformed', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(headers(1, post(['content-length', '9'])), data(1, 'abc', false))
    await patiently(() => seen[0])
    caller.send(data(1, 'abc'))
    assert.equal(await patiently(() => bodies[0]), 'request-malformed')
    assert.equal(await caller.reset(1), 1)
    caller.destroy()
  })

  test('longer than announced: the connection ends, which is told and counted', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(headers(1, post(['content-length', '4'])), data(1, 'abc', false))
    await patiently(() => seen[0])
    caller.send(data(1, 'abc'))
    assert.equal(await patiently(() => bodies[0]), 'connection-abused')
    await caller.ended()
    assert.deepEqual([edge.turned, edge.abused.length], [['http2-connection'], 1])
  })

  test('later than it may: 408, request-timeout', async () => {
    const caller = await rawCaller(edge.port)
    caller.send(headers(1, post()), data(1, 'abc', false))
    assert.equal(await caller.status(1), 408)
    assert.equal(await patiently(() => bodies[0]), 'request-timeout')
    caller.destroy()
  })
})

suite('an answer before the body is there', () => {
  test('is whole, and the rest is refused without a fault', async () => {
    const session = h2Client(edge.port)
    const stream = session.request({ ':path': '/early', ':method': 'POST' })
    stream.write(Buffer.alloc(100_000))
    stream.on('error', () => {})
    const chunks: Buffer[] = []
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    const [got] = (await once(stream, 'response')) as [Record<string, unknown>]
    await once(stream, 'close')
    assert.equal(got[':status'], 401)
    assert.equal(JSON.parse(Buffer.concat(chunks).toString()).type.includes('token-missing'), true)
    assert.equal(stream.rstCode, 0)
    assert.equal((await askH2(session)).status, 200)
    session.close()
  })

  test('a caller that goes on and on loses its stream', async () => {
    const ended = await h2Edge((req, res) => {
      res.writeHead(200, []).end('enough')
      discardRest(req)
    })
    const session = h2Client(ended.port)
    const stream = session.request({ ':path': '/a', ':method': 'POST' })
    stream.on('error', () => {}).resume()
    const flood = () => {
      while (!stream.destroyed && stream.write(Buffer.alloc(65_536)));
    }
    stream.on('drain', flood)
    flood()
    await once(stream, 'close')
    session.destroy()
    await ended.listener.close(0)
  })
})

test('a header of an answer that would be two is not written', async () => {
  const thrown: unknown[] = []
  const broken = await h2Edge((_req, res) => {
    try {
      res.writeHead(200, ['x-a', 'b\r\nx-c: d'])
    } catch (cause) {
      thrown.push(cause)
      replyProblem(res, { tag: 'internal' })
    }
  })
  const session = h2Client(broken.port)
  assert.equal((await askH2(session)).status, 500)
  assert.ok(thrown[0] instanceof TypeError)
  session.close()
  await broken.listener.close(0)
})
