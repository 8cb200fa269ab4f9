import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectH2, type ClientHttp2Session, type IncomingHttpHeaders } from 'node:http2'
import { after, before, suite, test } from 'node:test'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { tokenExchangeGrant, tokenTypes } from '#contract/token-exchange'
import { gateway, orders } from './fixtures.ts'
import { data, headers, ping, reset, settings } from '#test/http/h2-client/scripted-peer'
import { block, rawCaller } from '#test/http/h2-server/raw-caller'
import {
  overHttp2,
  questionForm,
  startTestExchange,
  type ClientCertificate,
  type TestExchange,
} from './running-exchange.ts'

type Answer = { readonly headers: IncomingHttpHeaders; readonly body: string }

suite('HTTP/2 to the exchange', () => {
  let exchange: TestExchange
  let certificate: ClientCertificate
  before(async () => {
    exchange = await startTestExchange({
      listeners: {
        exchange: { port: 0, limits: { maxRequestsPerConnection: 40 } },
        admin: { port: 0 },
      },
    })
    certificate = await exchange.join()
  })
  after(() => exchange.stop())

  const connect = (protocols: readonly string[], client?: ClientCertificate): TLSSocket =>
    connectTls({
      host: '127.0.0.1',
      port: exchange.exchange.port,
      ca: exchange.roots(),
      ALPNProtocols: [...protocols],
      ...client,
    })
  const session = async (client?: ClientCertificate): Promise<ClientHttp2Session> =>
    (await overHttp2(exchange, client)).over
  const ask = (
    over: ClientHttp2Session,
    headers: Record<string, string>,
    body?: string,
  ): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const stream = over.request(headers, { endStream: body === undefined })
      let head: IncomingHttpHeaders = {}
      let text = ''
      stream.on('response', (given) => {
        head = given
      })
      stream.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      stream.on('end', () => resolve({ headers: head, body: text })).on('error', reject)
      stream.end(body)
    })
  const mint = async (over: ClientHttp2Session, form: Record<string, string> = {}) =>
    ask(
      over,
      {
        ':method': 'POST',
        ':path': '/token',
        'content-type': 'application/x-www-form-urlencoded',
        'x-request-id': 'caused-by-this',
      },
      questionForm({ subject_token: await exchange.subjectToken(), ...form }),
    )

  test('many tokens are minted over one connection at once, each with its record', async () => {
    const over = await session(certificate)
    const before = exchange.records.length
    const answers = await Promise.all(Array.from({ length: 30 }, () => mint(over)))
    over.close()
    const tokens = answers.map(({ headers, body }) => {
      assert.equal(headers[':status'], 200, body)
      return String(JSON.parse(body).access_token)
    })
    assert.equal(new Set(tokens).size, 30)
    await exchange.recorded(before + 30)
    const records = exchange.records.slice(before)
    assert.equal(records.length, 30)
    for (const { outcome, decisionId, request, minted } of records) {
      assert.equal(outcome, 'answered')
      assert.equal(decisionId, 'caused-by-this')
      assert.equal(request?.protocol, 'HTTP/2')
      assert.equal(request?.host, 'localhost:443')
      assert.equal(request?.address, '127.0.0.1')
      assert.equal(request?.clientSpiffeId, gateway)
      assert.equal(minted?.audience, orders)
    }
  })

  test('a refusal is the same as over HTTP/1.1', async () => {
    const over = await session(certificate)
    const { headers, body } = await mint(over, { audience: 'https://elsewhere.example' })
    over.close()
    assert.equal(headers[':status'], 400)
    assert.equal(JSON.parse(body).error, 'invalid_target')
  })

  test('the gate stands before the router: a path that is not one is refused, and recorded', async () => {
    const over = await session(certificate)
    const before = exchange.records.length
    const { headers } = await ask(over, { ':method': 'GET', ':path': '/a/../keys' })
    assert.equal(headers[':status'], 400)
    assert.equal(headers['x-sallyport-problem'], 'path-invalid')
    assert.equal(exchange.records.at(before)?.problem, 'path-invalid')
    const again = await ask(over, { ':method': 'GET', ':path': '/healthz' })
    assert.equal(again.headers[':status'], 200)
    over.close()
  })

  test('a body that is too large is refused', async () => {
    const over = await session(certificate)
    const { headers, body } = await mint(over, { scope: 'x'.repeat(40_000) })
    over.close()
    assert.equal(headers[':status'], 400)
    assert.equal(JSON.parse(body).problem, 'body-too-large')
  })

  test('many long forms on one connection are no flood', async (t) => {
    const often = { limits: { slowReadGraceMs: 1000 } } // then connections are looked at every 250 ms
    const other = await startTestExchange({
      listeners: { exchange: { port: 0, ...often }, admin: { port: 0 } },
    })
    t.after(() => other.stop())
    const socket = connectTls({
      host: '127.0.0.1',
      port: other.exchange.port,
      ca: other.roots(),
      ALPNProtocols: ['h2'],
      ...(await other.join()),
    })
    await once(socket, 'secureConnect')
    const over = connectH2('https://localhost', { createConnection: () => socket })
    const question = {
      ':method': 'POST',
      ':path': '/token',
      'content-type': 'application/x-www-form-urlencoded',
    }
    const form = 'x'.repeat(30_000)
    for (let round = 0; round < 10; round += 1) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => ask(over, question, form)))
      for (const { headers } of answers) assert.equal(headers[':status'], 400)
    }
    over.close()
    assert.ok(!other.records.some(({ problem }) => problem === 'connection-abused'))
  })

  test('half a form is no question', async () => {
    const before = exchange.records.length
    const caller = await rawCaller(exchange.exchange.port, {
      ca: exchange.roots(),
      client: certificate,
    })
    const form = new URLSearchParams({
      grant_type: tokenExchangeGrant,
      subject_token: await exchange.subjectToken(),
      subject_token_type: tokenTypes.jwt,
      requested_token_type: tokenTypes.jwt,
      audience: orders,
    }).toString()
    const asking = block({ ':method': 'POST', ':path': '/token' }, [
      'content-type',
      'application/x-www-form-urlencoded',
    ])
    caller.send(headers(1, asking), data(1, form, false), ping())
    await caller.until(({ type }) => type === 6) // all that came before it was looked at
    caller.send(reset(1, 8))
    await exchange.recorded(before + 1)
    const [record] = exchange.records.slice(before)
    assert.deepEqual([record?.problem, record?.minted], ['caller-gone', undefined])
    caller.destroy()
  })

  test('who offers HTTP/1.1 too is spoken to in that', async () => {
    const socket = connect(['h2', 'http/1.1'], certificate)
    await once(socket, 'secureConnect')
    assert.equal(socket.alpnProtocol, 'http/1.1')
    socket.destroy()
  })

  test('who proves nothing is cut off before anything is read', async () => {
    const before = exchange.records.length
    const over = await session()
    const stream = over.request({ ':method': 'GET', ':path': '/healthz' })
    stream.on('error', () => {})
    let answered = false
    stream.on('response', () => {
      answered = true
    })
    await once(over, 'close')
    assert.equal(answered, false)
    assert.equal(exchange.records.length, before)
  })

  test('after so many requests a connection takes no more, and what it took is answered', async () => {
    const over = await session(certificate)
    const closed = once(over, 'close')
    const answers = await Promise.all(Array.from({ length: 40 }, () => mint(over)))
    for (const { headers } of answers) assert.equal(headers[':status'], 200)
    await closed
  })

  test('a drain lets what was asked be answered, and ends idle connections', async () => {
    const other = await startTestExchange()
    const client = await other.join()
    const socket = connectTls({
      host: '127.0.0.1',
      port: other.exchange.port,
      ca: other.roots(),
      ALPNProtocols: ['h2'],
      ...client,
    })
    await once(socket, 'secureConnect')
    const over = connectH2('https://localhost', { createConnection: () => socket })
    assert.equal(
      (await ask(over, { ':method': 'GET', ':path': '/healthz' })).headers[':status'],
      200,
    )
    const closed = once(over, 'close')
    await other.stop()
    await closed
  })
})

suite('floods of HTTP/2 from one of the mesh', async () => {
  let exchange: TestExchange
  let client: ClientCertificate
  before(async () => {
    exchange = await startTestExchange()
    client = await exchange.join()
  })
  after(() => exchange.stop())
  const asking = block({ ':path': '/healthz' })

  for (const [what, flood, codes] of [
    [
      'requests that it cancels',
      (i: number) => headers(2 * i + 1, asking, true) + reset(2 * i + 1, 8),
      [2, 11],
    ],
    ['PING upon PING', () => ping(), [11]],
    ['SETTINGS upon SETTINGS', () => settings(), [11]],
  ] as const)
    test(`${what} end its connection, and nobody else's`, async () => {
      const before = exchange.records.length
      const caller = await rawCaller(exchange.exchange.port, { ca: exchange.roots(), client })
      for (let i = 0; i < 900; i += 1) caller.send(flood(i))
      const why = await caller.ended()
      assert.ok(
        why.some((code) => (codes as readonly number[]).includes(code)),
        String(why),
      )
      const { status } = await exchange.ask({ path: '/healthz' })
      assert.equal(status, 200)
      await exchange.recorded(before + 1)
      assert.ok(
        exchange.records.slice(before).some(({ problem }) => problem === 'connection-abused'),
      )
    })
})
