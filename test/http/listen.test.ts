import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { once } from 'node:events'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import supertest from 'supertest'
import { sendProblem, plainListener } from '#http/listen'
import { noLog } from '#contract/telemetry'
import { pem, runEdge, runPlain, serverTls, trusting } from './fixtures.ts'
import { dial, head } from './wire.ts'

const opened: { listener: { close: (graceMs: number) => Promise<void> } }[] = []
after(() => Promise.all(opened.map(({ listener }) => listener.close(0))))
const keep = <T extends (typeof opened)[number]>(running: T): T => {
  opened.push(running)
  return running
}
const noDoors = {
  upgrade: (_req: unknown, socket: import('node:stream').Duplex) => void socket.destroy(),
  connect: (_req: unknown, socket: import('node:stream').Duplex) => void socket.destroy(),
}

suite('an edge', () => {
  test('gives its own requests to Fastify and all others to the door', async () => {
    const edge = keep(
      await runEdge(
        {
          tls: serverTls,
          isOwn: (req) => req.url === '/healthz',
          doors: { ...noDoors, request: (req, res) => void res.end(`door ${req.url}`) },
        },
        (app) => app.get('/healthz', async () => 'well'),
      ),
    )
    const seen = []
    for (const path of ['/healthz', '/healthz?x', '/%68ealthz', '/other']) {
      const wire = await dial(edge.port, trusting)
      wire.write(head(`GET ${path} HTTP/1.1`, 'Connection: close'))
      seen.push((await wire.end()).split('\r\n\r\n')[1]?.replace(/\r\n|^\w+\r\n/g, ''))
      wire.destroy()
    }
    assert.equal(seen[0], 'well')
    for (const text of seen.slice(1)) assert.match(text ?? '', /door/)
  })
})

suite('a plain listener', () => {
  const logged: object[] = []
  const refused: string[] = []
  const routes = (app: Awaited<ReturnType<typeof runPlain>>['listener']['app']) => {
    app.get('/a', (request, reply) => reply.send({ url: request.url, ip: request.ip }))
    app.get('/throws', async () => {
      throw new Error('a secret of ours')
    })
    app.get('/refuses', (_request, reply) =>
      sendProblem(reply, { tag: 'rate-exceeded', headers: { 'retry-after': '3' } }, 'id-1'),
    )
    app.post('/b', async () => 'ok')
  }
  const plain = (async () =>
    keep(
      await runPlain(routes, {
        refused: (_req, { tag }) => void refused.push(tag),
        log: { ...noLog, error: (fields) => void logged.push(fields) },
        maxBodyBytes: 1000,
      }),
    ))()
  const ask = async (send: string) => {
    const wire = await dial((await plain).port)
    wire.write(send)
    const answer = await wire.answer()
    wire.destroy()
    return answer
  }
  const json = (text: string, type = 'application/json') =>
    `${head('POST /b HTTP/1.1', `Content-Type: ${type}`, `Content-Length: ${text.length}`)}${text}`

  for (const [name, send, status, tag] of [
    ['an unknown path', head('GET /none HTTP/1.1'), 404, 'route-unknown'],
    ['a method that the path has not', head('DELETE /a HTTP/1.1'), 404, 'route-unknown'],
    ['a handler that throws', head('GET /throws HTTP/1.1'), 500, 'internal'],
    ['a handler that refuses', head('GET /refuses HTTP/1.1'), 429, 'rate-exceeded'],
    ['JSON that is none', json('{'), 400, 'request-malformed'],
    ['JSON with __proto__', json('{"__proto__":{"n":1}}'), 400, 'request-malformed'],
    ['a type that nobody reads', json('x', 'text/csv'), 415, 'media-type-refused'],
    ['a body that is too large', json(`{"n":1${' '.repeat(2000)}}`), 413, 'body-too-large'],
    ['an escape that is none, before any route', head('GET /%zz HTTP/1.1'), 400, 'path-invalid'],
    ['an ambiguous path', head('GET //a HTTP/1.1'), 400, 'path-invalid'],
    ['a Host that is none', head('GET /a HTTP/1.1', 'Host: a b'), 400, 'host-invalid'],
    [
      'an upgrade',
      head('GET /a HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'),
      400,
      'upgrade-refused',
    ],
    ['CONNECT', head('CONNECT a:443 HTTP/1.1'), 405, 'method-not-allowed'],
  ] as const)
    test(`answers ${name} with a problem`, async () => {
      const answer = await ask(send)
      assert.equal(answer.status, status)
      assert.equal(answer.json().type, `urn:sallyport:problem:${tag}`)
      assert.match(answer.head, /content-type: application\/problem\+json/i)
      assert.match(answer.head, new RegExp(`x-sallyport-problem: ${tag}`))
      assert.doesNotMatch(answer.body, /secret/)
    })

  test('takes no route with a schema, which nobody would check', async () => {
    const schema = { body: { type: 'object' } }
    const withSchema = runPlain((app) => app.post('/c', { schema }, async () => 'ok'), {})
    await assert.rejects(withSchema, /routes have no schemas here/)
  })

  test('logs what was a bug and nothing else, and tells of what the gate refused', async () => {
    logged.length = 0
    refused.length = 0
    for (const path of ['/throws', '/none', '//a']) await ask(head(`GET ${path} HTTP/1.1`))
    assert.equal(logged.length, 1)
    assert.match(String((logged[0] as { err: Error }).err), /a secret of ours/)
    assert.deepEqual(refused, ['path-invalid'])
  })

  test('puts headers and decision id of a problem into the answer', async () => {
    const answer = await ask(head('GET /refuses HTTP/1.1'))
    assert.match(answer.head, /retry-after: 3/)
    assert.equal(answer.json().decisionId, 'id-1')
  })

  test('has no HEAD where only a GET was asked for', async () => {
    const wire = await dial((await plain).port)
    wire.write(head('HEAD /a HTTP/1.1', 'Connection: close'))
    assert.match(await wire.end(), /^HTTP\/1.1 404 /)
  })

  test('routes by the one path, and does not believe X-Forwarded-For', async () => {
    const answer = await ask(head('GET /%61?b=%61 HTTP/1.1', 'X-Forwarded-For: 192.0.2.1'))
    assert.deepEqual(answer.json(), { url: '/a?b=%61', ip: '127.0.0.1' })
  })

  test('works with inject and supertest', async () => {
    const listener = plainListener({ turnedAway: () => {}, log: noLog })
    routes(listener.app)
    assert.equal((await listener.app.inject('/a')).statusCode, 200)
    await supertest(listener.app.server).get('/a').expect(200)
    await supertest(listener.app.server)
      .get('/none')
      .expect(404)
      .expect('x-sallyport-problem', 'route-unknown')
    await listener.close(0)
  })

  test('asks for certificates where it is told to', async () => {
    const secure = keep(
      await runPlain(routes, {
        tls: { ...serverTls, clientCertificates: { roots: [pem('ca')], mode: 'require' } },
      }),
    )
    const stranger = await dial(secure.port, trusting)
    stranger.write(head('GET /a HTTP/1.1'))
    assert.equal(await stranger.end(), '')
    const known = await dial(secure.port, {
      ...trusting,
      cert: pem('client'),
      key: pem('client.key'),
    })
    known.write(head('GET /a HTTP/1.1'))
    assert.equal((await known.answer()).status, 200)
    known.destroy()
  })
})

suite('listening', () => {
  const listener = () => plainListener({ turnedAway: () => {}, log: noLog })

  test('on a port that is taken says so', async () => {
    const other = createServer().listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as import('node:net').AddressInfo
    await assert.rejects(listener().listen('127.0.0.1', port), {
      message: `port ${port} on 127.0.0.1 is taken; stop what listens there or choose another port`,
    })
    other.close()
  })

  test('on an address of another machine says so', async () => {
    await assert.rejects(
      listener().listen('192.0.2.1', 0),
      /192\.0\.2\.1 is not an address of this machine/,
    )
  })

  test('on localhost is on one address', async () => {
    const at = listener()
    assert.equal((await at.listen('localhost', 0)).host, '127.0.0.1')
    await at.close(0)
  })
})

suite('the end of a listener', () => {
  const slowEdge = async (answer: Promise<void>) =>
    runEdge({
      tls: serverTls,
      doors: {
        ...noDoors,
        request: async (req, res) => {
          if (req.url === '/slow') await answer
          res.writeHead(200, { 'content-length': 2 }).end('ok')
        },
        upgrade: (_req, socket) => void socket.write('HTTP/1.1 101 Switching\r\n\r\n'),
      },
    })

  test('draining, goes on serving and makes each answer the last of its connection', async () => {
    const gate = Promise.withResolvers<void>()
    const edge = keep(await slowEdge(gate.promise))
    const [underWay, idle] = [await dial(edge.port, trusting), await dial(edge.port, trusting)]
    underWay.write(head('GET /slow HTTP/1.1'))
    idle.write(head('GET /a HTTP/1.1'))
    assert.match((await idle.answer()).head, /keep-alive/i)
    edge.listener.drain()
    gate.resolve()
    const late = await dial(edge.port, trusting)
    for (const wire of [idle, late]) wire.write(head('GET /a HTTP/1.1'))
    for (const wire of [underWay, idle, late]) assert.match(await wire.end(), /connection: close/i)
  })

  test('lets what is under way finish', async () => {
    const gate = Promise.withResolvers<void>()
    const edge = await slowEdge(gate.promise)
    const wire = await dial(edge.port, trusting)
    wire.write(head('GET /slow HTTP/1.1'))
    await sleep(20)
    const closed = edge.listener.close(5000)
    await sleep(20)
    gate.resolve()
    assert.match(await wire.end(), /ok$/)
    await closed
    while (edge.listener.connections() > 0) await sleep(1)
  })

  test('cuts off what takes longer, upgraded connections and unfinished handshakes among it', async () => {
    const edge = await slowEdge(new Promise(() => {}))
    const wires = [await dial(edge.port, trusting), await dial(edge.port, trusting)]
    wires[0]!.write(head('GET /slow HTTP/1.1'))
    wires[1]!.write(head('GET /ws HTTP/1.1', 'Connection: Upgrade', 'Upgrade: websocket'))
    await wires[1]!.until(/101/)
    const silent = await dial(edge.port)
    while (edge.listener.connections() < 3) await sleep(5)
    await edge.listener.close(50)
    for (const wire of [...wires, silent]) await wire.end()
    while (edge.listener.connections() > 0) await sleep(1)
  })
})
