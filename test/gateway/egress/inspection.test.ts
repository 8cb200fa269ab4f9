// TLS that ends at the gateway: what gets through, what does not, and what is recorded.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { X509Certificate } from 'node:crypto'
import { makeCertificate } from '#test/fakes/openssl'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates, refusalOf, shop } from './rig.ts'

const certs = certificates()
let connections = 0
const seen: { url: string; headers: NodeJS.Dict<string | string[]>; body: string }[] = []
const api = await runDestination(certs.outside('DNS:api.test, DNS:pinned.test'), (req, res) => {
  let body = ''
  req.setEncoding('latin1')
  req.on('data', (chunk: string) => (body += chunk))
  req.on('end', () => {
    seen.push({ url: req.url ?? '', headers: req.headers, body })
    res.setHeader('x-sallyport-error', 'forged')
    res.setHeader('set-cookie', ['a=1', 'b=2'])
    const text = `${req.method} ${req.url} ${body}`
    res.setHeader('content-length', text.length)
    res.end(text)
  })
})
api.server.on('secureConnection', () => (connections += 1))
const stranger = await runDestination(
  makeCertificate({ subject: '/CN=x', extensions: ['subjectAltName = DNS:unknown-ca.test'] }),
  (_req, res) => res.end(),
)
const inspected = {
  protocol: 'tls-inspected' as const,
  opens: ['127.0.0.0/8'],
}
const rules = [
  {
    id: 'shop',
    destinations: [
      {
        ...inspected,
        hosts: ['api.test'],
        ports: [api.port],
        methods: ['GET', 'POST'],
        paths: ['/v1', '/health'],
      },
      { hosts: ['pinned.test'], ports: [api.port], opens: ['127.0.0.0/8'] },
      { ...inspected, hosts: ['unsigned.test', 'wrong.test'], ports: [api.port] },
      { ...inspected, hosts: ['unknown-ca.test'], ports: [stranger.port] },
    ],
  },
]
const rig = await runInspectionRig(certs, ['api.test', 'wrong.test', 'unknown-ca.test'], { rules })
for (const name of ['api.test', 'pinned.test', 'unsigned.test', 'wrong.test', 'unknown-ca.test'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])
const place = `api.test:${api.port}`
const get = (path: string, ...headers: string[]) =>
  [`GET ${path} HTTP/1.1`, `Host: ${place}`, ...headers, '', ''].join('\r\n')

suite('a request within inspected TLS', () => {
  test('gets to the destination and back, by a certificate of the inspection CA', async () => {
    const wire = await rig.inside(place)
    const leaf = wire.tls.getPeerX509Certificate()
    assert.ok(leaf)
    assert.ok(leaf.verify(new X509Certificate(rig.ca).publicKey))
    assert.equal(leaf.subjectAltName, 'DNS:api.test')
    wire.write(get('/v1/a?b=c', 'x-own: yes', 'Connection: x-nominated', 'x-nominated: gone'))
    const { status, body, head } = await wire.answer()
    assert.deepEqual([status, body], [200, 'GET /v1/a?b=c '])
    assert.doesNotMatch(head, /forged/)
    assert.equal(head.match(/^set-cookie/gim)?.length, 2)
    const { headers } = seen.at(-1) ?? {}
    assert.equal(headers?.host, place)
    assert.equal(headers['x-own'], 'yes')
    assert.equal(headers['x-nominated'], undefined)
    assert.match(String(headers['via']), /sallyport-test/)
    wire.destroy()
  })
  test('is one of several on a connection, and theirs to the destination is one too', async () => {
    const before = connections
    const wire = await rig.inside(place)
    for (const path of ['/v1/1', '/v1/2', '/v1/3']) {
      wire.write(get(path))
      assert.equal((await wire.answer()).body, `GET ${path} `)
    }
    wire.destroy()
    assert.equal(connections - before, 1)
  })
  test('streams a body there', async () => {
    const wire = await rig.inside(place)
    wire.write(
      `POST /v1/up HTTP/1.1\r\nHost: ${place}\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`,
    )
    wire.write('3;ext=x\r\ndef\r\n0\r\nx-trailer: y\r\n\r\n')
    assert.equal((await wire.answer()).body, 'POST /v1/up abcdef')
    wire.write(
      `POST /v1/up HTTP/1.1\r\nHost: ${place}\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n`,
    )
    assert.equal((await wire.answer()).status, 100)
    wire.write('xyz')
    assert.equal((await wire.answer()).body, 'POST /v1/up xyz')
    wire.destroy()
  })
  test('leaves one record, and its tunnel two', async () => {
    const wire = await rig.inside(place)
    wire.write(get('/v1/recorded'))
    await wire.answer()
    wire.destroy()
    const record = await rig.requestRecord(wire.decisionId, '/v1/recorded')
    assert.equal(record.outcome, 'forwarded')
    assert.equal(record.spiffeId, shop)
    assert.deepEqual(record.request?.method, 'GET')
    assert.equal(record.egress?.protocol, 'tls-inspected')
    assert.equal(record.egress.rule, 'shop')
    assert.equal(record.status, 200)
    const closed = await rig.closedRecord(wire.decisionId)
    assert.equal(closed.problem, 'none')
    assert.equal(closed.egress?.serverName, 'match')
    assert.equal(closed.egress.closedBy, 'workload')
    assert.ok(closed.egress.dialled === '127.0.0.1' && closed.bytesIn > 0 && closed.bytesOut > 0)
    const opened = rig.records.filter(({ decisionId }) => decisionId === wire.decisionId)
    assert.deepEqual(
      opened.map(({ egress }) => egress?.phase),
      ['opened', 'closed'],
    )
  })
})

suite('what a rule lists of methods and paths holds within TLS', () => {
  for (const [line, status] of [
    ['GET /v1/a', 200],
    ['GET /health', 200],
    ['POST /v1', 200],
    ['DELETE /v1/a', 403],
    ['GET /admin', 403],
    ['GET /v1x', 403],
    ['GET /', 403],
    ['GET /v1/../admin', 400],
    ['GET /v1/%2e%2e/admin', 400],
    ['GET //v1', 400],
    ['GET /v1/%2fadmin', 400],
    ['GET /v1\\admin', 400],
    ['TRACE /v1', 405],
    ['CONNECT evil.test:443', 405],
  ] as const)
    test(`${line}: ${status}`, async () => {
      const before = seen.length
      const wire = await rig.inside(place)
      wire.write(`${line} HTTP/1.1\r\nHost: ${place}\r\nContent-Length: 0\r\n\r\n`)
      const answer = await wire.answer()
      assert.equal(answer.status, status)
      if (status === 403) {
        assert.equal(refusalOf(answer), '403 destination-denied')
        assert.match(answer.body, /rule `shop` lists this host for other methods or paths only/)
      }
      assert.equal(seen.length - before, status === 200 ? 1 : 0)
      wire.destroy()
    })
})

suite('hosts that are not to be looked into', () => {
  test('show their own certificate', async () => {
    const { tls } = await rig.tunnelTo(`pinned.test:${api.port}`, {
      trusted: certs.outsideRoot.pem,
    })
    assert.ok(tls)
    await once(tls, 'secureConnect')
    const shown = tls.getPeerX509Certificate()
    assert.ok(shown?.verify(new X509Certificate(certs.outsideRoot.pem).publicKey))
    tls.destroy()
  })
})

suite('where inspection cannot be had nobody gets through', () => {
  test('for a host that the exchange does not sign for', async () => {
    const { answer } = await rig.connect(`unsigned.test:${api.port}`)
    assert.equal(refusalOf(answer), '503 inspection-unavailable')
    const record = await rig.recordOf(({ problem }) => problem === 'inspection-unavailable')
    assert.equal(record.step, 'leaf')
    assert.match(record.cause ?? '', /403.*inspection\.hosts/s)
  })
  test('to a destination whose certificate is for another name', async () => {
    const { answer } = await rig.connect(`wrong.test:${api.port}`)
    assert.equal(refusalOf(answer), '502 destination-untrusted')
    assert.match(answer.head, /proxy-status: sallyport; error=tls_certificate_error/i)
  })
  test('to a destination of a CA that its rule does not name', async () => {
    const { answer } = await rig.connect(`unknown-ca.test:${stranger.port}`)
    assert.equal(refusalOf(answer), '502 destination-untrusted')
  })
  test('a workload that does not trust the CA sends nothing, and the record says why', async () => {
    const before = seen.length
    const { tls, decisionId } = await rig.tunnelTo(place, { trusted: certs.outsideRoot.pem })
    assert.ok(tls)
    await new Promise((resolve) => tls.once('close', resolve))
    const closed = await rig.closedRecord(decisionId)
    assert.equal(closed.problem, 'inspection-failed')
    assert.equal(closed.step, 'handshake')
    assert.match(closed.cause ?? '', /UNKNOWN_CA|left in its handshake|ECONNRESET/)
    assert.equal(seen.length, before)
  })
})
