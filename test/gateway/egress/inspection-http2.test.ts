// HTTP/2 within inspected TLS, whatever the destination speaks; and what a connection of it may not do.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import { suite, test } from 'node:test'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates } from './rig.ts'

const certs = certificates()
let connections = 0
const urls: (string | undefined)[] = []
const listener = (
  req: import('node:http').IncomingMessage,
  res: import('node:http').ServerResponse,
) => {
  let body = ''
  urls.push(req.url)
  req.setEncoding('latin1')
  req.on('data', (chunk: string) => (body += chunk))
  req.on('end', () => {
    res.setHeader('set-cookie', ['a=1', 'b=2'])
    res.setHeader('x-http', req.httpVersion)
    if (req.url === '/empty') return void res.writeHead(204).end()
    if (req.url === '/never') return
    res.end(`${req.method} ${req.url} ${body.length}`)
  })
}
const one = await runDestination(certs.outside('DNS:one.test'), listener)
const two = await runDestination(certs.outside('DNS:two.test'), listener, { alsoHttp2: true })
for (const { server } of [one, two]) server.on('secureConnection', () => (connections += 1))
const inspected = { protocol: 'tls-inspected' as const, opens: ['127.0.0.0/8'] }
const rig = await runInspectionRig(certs, ['one.test', 'two.test'], {
  rules: [
    {
      id: 'shop',
      destinations: [
        { ...inspected, hosts: ['one.test'], ports: [one.port], methods: ['GET', 'POST', 'HEAD'] },
        { ...inspected, hosts: ['two.test'], ports: [two.port] },
      ],
    },
  ],
})
for (const name of ['one.test', 'two.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

const sessionTo = async (place: string) => {
  const { tls, decisionId } = await rig.tunnelTo(place, { alpn: ['h2'] })
  assert.ok(tls)
  await once(tls, 'secureConnect')
  assert.equal(tls.alpnProtocol, 'h2')
  const session = connectHttp2(`https://${place}`, {
    createConnection: () => tls,
    maxOutstandingPings: 1000,
  })
  session.on('error', () => {})
  return { session, decisionId }
}
const ask = async (session: ClientHttp2Session, headers: Record<string, string>, body?: string) => {
  const stream = session.request(headers, { endStream: body === undefined })
  let text = ''
  stream.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
  if (body !== undefined) stream.end(body)
  const [answer] = (await once(stream, 'response')) as [Record<string, unknown>]
  if (!stream.readableEnded) await once(stream, 'end')
  return { status: answer[':status'], headers: answer, text }
}

for (const [name, destination, version] of [
  ['one.test', one, '1.1'],
  ['two.test', two, '2.0'],
] as const)
  suite(`HTTP/2 to a destination of HTTP/${version}`, () => {
    const place = `${name}:${destination.port}`
    test('goes there and back, many at one time, with bodies', async () => {
      const { session, decisionId } = await sessionTo(place)
      const answers = await Promise.all(
        Array.from({ length: 30 }, (_, i) =>
          ask(session, { ':method': 'POST', ':path': `/n/${i}` }, 'x'.repeat(i * 1000)),
        ),
      )
      for (const [i, { status, text, headers }] of answers.entries()) {
        assert.deepEqual([status, text], [200, `POST /n/${i} ${i * 1000}`])
        assert.equal(headers['x-http'], version)
        assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2'])
        assert.match(String(headers['via']), /sallyport-test/)
      }
      session.destroy()
      const record = await rig.requestRecord(decisionId, '/n/7')
      assert.equal(record.request?.protocol, 'HTTP/2')
      assert.deepEqual([record.status, record.bytesIn], [200, 7000])
    })
    test('an answer without a body has none', async () => {
      const { session } = await sessionTo(place)
      assert.equal((await ask(session, { ':path': '/empty' })).status, 204)
      const { status, text } = await ask(session, { ':method': 'HEAD', ':path': '/' })
      assert.deepEqual([status, text], [200, ''])
      session.destroy()
    })
    test('HTTP/1.1 of a workload goes there as well', async () => {
      const wire = await rig.inside(place)
      wire.write(`GET /a HTTP/1.1\r\nHost: ${place}\r\n\r\n`)
      const { status, head } = await wire.answer()
      assert.deepEqual([status, /x-http: (.*)/i.exec(head)?.[1]?.trim()], [200, version])
      wire.destroy()
    })
    for (const [what, body] of [
      ['more', `abcGET /smuggled HTTP/1.1\r\nHost: ${place}\r\n\r\n`],
      ['less', 'ab'],
    ] as const)
      test(`a body of ${what} than its Content-Length smuggles nothing in`, async () => {
        const { session } = await sessionTo(place)
        urls.length = 0
        const stream = session.request({
          ':method': 'POST',
          ':path': '/first',
          'content-length': '3',
        })
        stream.on('error', () => {}).resume()
        const closed = new Promise((resolve) => stream.once('close', resolve))
        stream.end(body)
        await closed
        session.destroy()
        const next = await sessionTo(place)
        assert.equal((await ask(next.session, { ':path': '/second' })).status, 200)
        assert.deepEqual(
          urls.filter((url) => url !== '/first'),
          ['/second'],
        )
        next.session.destroy()
      })
    test('whoever leaves in the middle takes its request along, and no other', async () => {
      const { session, decisionId } = await sessionTo(place)
      const never = session.request({ ':path': '/never' })
      never.on('error', () => {})
      await ask(session, { ':path': '/before' })
      never.close(8) // CANCEL
      assert.equal((await ask(session, { ':path': '/after' })).status, 200)
      assert.equal((await rig.requestRecord(decisionId, '/never')).problem, 'caller-gone')
      session.destroy()
    })
  })

suite('what is refused within HTTP/2', () => {
  const place = `one.test:${one.port}`
  for (const [what, headers, status] of [
    ['a method that is not listed', { ':method': 'DELETE', ':path': '/' }, 403],
    ['a path that can be read in two ways', { ':path': '/a/../b' }, 400],
    ['TRACE', { ':method': 'TRACE', ':path': '/' }, 405],
    ['another scheme', { ':scheme': 'http', ':path': '/' }, 400],
    ['a header with an underscore', { ':path': '/', x_forwarded_for: '1' }, 400],
  ] as const)
    test(what, async () => {
      const { session } = await sessionTo(place)
      const before = connections
      assert.equal((await ask(session, headers)).status, status)
      assert.ok(connections <= before + 1)
      session.destroy()
    })
  test('a flood of frames that ask for nothing ends the tunnel, and its record says why', async () => {
    const { session, decisionId } = await sessionTo(place)
    const closed = new Promise((resolve) => session.once('close', resolve))
    for (let i = 0; i < 400 && !session.destroyed; i += 1) session.ping(() => {})
    await closed
    assert.equal((await rig.closedRecord(decisionId)).problem, 'connection-abused')
  })
  test('a connection has only so many requests, and the next one another connection', async () => {
    const { session, decisionId } = await sessionTo(place)
    const closed = new Promise((resolve) => session.once('close', resolve))
    for (let i = 0; i < 100; i += 1) await ask(session, { ':path': '/' })
    await closed
    assert.equal((await rig.closedRecord(decisionId)).problem, 'none')
  })
})

test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
