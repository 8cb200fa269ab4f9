// What a workload can try within inspected TLS, and what a destination can do to it, over real sockets.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type TLSSocket } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { helloOf } from './hello.ts'
import { runInspectionRig } from './inspection-rig.ts'
import { certificates, refusalOf, shop } from './rig.ts'

const certs = certificates()
const other = 'spiffe://mesh.example/ns/shop/sa/other'
const certificate = certs.outside('DNS:api.test, DNS:moving.test')
/** What the destination answers to each request, whatever it is; and all that reached it, a text a connection. */
let said = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'
const got: { text: string; readonly socket: TLSSocket }[] = []
const destination = createServer(
  { cert: certificate.pem, key: certificate.keyPem, ALPNProtocols: ['http/1.1'] },
  (socket) => {
    const connection = { text: '', socket }
    got.push(connection)
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => {
      connection.text += chunk.toString('latin1')
      if (/\r\n\r\n/.test(chunk.toString('latin1'))) socket.write(said, 'latin1')
    })
  },
)
destination.on('tlsClientError', () => {})
await once(destination.listen(0, '127.0.0.1'), 'listening')
const { port } = destination.address() as AddressInfo
after(() => {
  destination.close()
  for (const { socket } of got) socket.destroy()
})
const limits = { maxBytesPerDay: 50_000_000 }
const rules = (more: object = {}) => ({
  rules: [
    {
      id: 'shop',
      workloads: [shop, other],
      limits,
      destinations: [
        {
          hosts: ['api.test', 'moving.test'],
          ports: [port],
          protocol: 'tls-inspected' as const,
          opens: ['127.0.0.0/8'],
          paths: ['/ok'],
        },
      ],
      ...more,
    },
  ],
})
const rig = await runInspectionRig(certs, ['api.test', 'moving.test'], rules())
rig.dns.set('api.test', [{ type: 'A', address: '127.0.0.1' }])
const place = `api.test:${port}`
const head = (line: string, ...headers: string[]) =>
  [line, `Host: ${place}`, ...headers, '', ''].join('\r\n')
const ok = head('GET /ok HTTP/1.1')
const since = (before: number) => got.slice(before).map(({ text }) => text)
const fine = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi'

suite('what could be read in two ways', () => {
  for (const [name, text, status] of [
    [
      'Content-Length and Transfer-Encoding',
      head('POST /ok HTTP/1.1', 'Content-Length: 5', 'Transfer-Encoding: chunked') + '0\r\n\r\nX',
      400,
    ],
    [
      'two Content-Lengths',
      head('POST /ok HTTP/1.1', 'Content-Length: 1', 'Content-Length: 2'),
      400,
    ],
    [
      'a Transfer-Encoding of two',
      head('POST /ok HTTP/1.1', 'Transfer-Encoding: identity, chunked'),
      400,
    ],
    [
      'a Transfer-Encoding of another',
      head('POST /ok HTTP/1.1', 'Transfer-Encoding: xchunked'),
      400,
    ],
    ['a space before the colon', head('GET /ok HTTP/1.1', 'Content-Length : 0'), 400],
    ['a folded header', head('GET /ok HTTP/1.1', 'X: a', ' b'), 400],
    ['a bare line feed', `GET /ok HTTP/1.1\nHost: ${place}\n\n`, 400],
    ['a header with an underscore', head('GET /ok HTTP/1.1', 'X_Forwarded_For: 1'), 400],
    ['Connection that names Host', head('GET /ok HTTP/1.1', 'Connection: host'), 400],
    ['an absolute target', head(`GET https://${place}/ok HTTP/1.1`), 400],
    ['an absolute target of elsewhere', head('GET https://evil.example/ok HTTP/1.1'), 400],
    ['an asterisk', head('OPTIONS * HTTP/1.1'), 400],
    ['HTTP/1.0', head('GET /ok HTTP/1.0'), 400],
    ['HTTP/2.0 in a request line', head('GET /ok HTTP/2.0'), 400],
    ['h2c', head('GET /ok HTTP/1.1', 'Connection: Upgrade', 'Upgrade: h2c'), 400],
    ['another expectation', head('POST /ok HTTP/1.1', 'Expect: 200-ok', 'Content-Length: 1'), 417],
    [
      'more headers than may be',
      head('GET /ok HTTP/1.1', ...Array.from({ length: 101 }, (_, i) => `x${i}: 1`)),
      431,
    ],
    ['a header that is too long', head('GET /ok HTTP/1.1', `x: ${'y'.repeat(20_000)}`), 431],
    [
      'a WebSocket that the rule does not have',
      head(
        'GET /ok HTTP/1.1',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Sec-WebSocket-Version: 13',
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      ),
      400,
    ],
    ['what has been here before', head('GET /ok HTTP/1.1', 'Via: 1.1 sallyport-test'), 400],
  ] as const)
    test(`${name}: ${status}, and nothing gets there`, async () => {
      const before = got.length
      const wire = await rig.inside(place)
      wire.write(text)
      assert.equal((await wire.answer()).status, status)
      wire.destroy()
      assert.deepEqual(since(before).join(''), '')
    })
  test('a request behind another is judged by itself', async () => {
    const before = got.length
    const wire = await rig.inside(place)
    wire.write(ok + head('GET /admin HTTP/1.1') + ok)
    assert.equal((await wire.answer()).status, 200)
    assert.equal(refusalOf(await wire.answer()), '403 destination-denied')
    assert.equal((await wire.answer()).status, 200)
    wire.destroy()
    assert.equal(
      since(before)
        .join('')
        .match(/GET \/ok/g)?.length,
      2,
    )
    assert.doesNotMatch(since(before).join(''), /admin/)
  })
  test('a head that never ends is waited for within bounds', async () => {
    const wire = await rig.inside(place)
    wire.write('GET /ok HTTP/1.1\r\n')
    assert.equal((await wire.answer()).status, 408)
    wire.destroy()
  })
  test('another TLS within the tunnel is none', async () => {
    const wire = await rig.inside(place)
    wire.socket.write(Buffer.from('16030100050100000100', 'hex'))
    assert.equal((await wire.answer()).status, 400)
    wire.destroy()
  })
})

suite('an answer that is none is a 502, and ends nothing but itself', () => {
  const good = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n'
  for (const answer of [
    'HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nabc',
    `${good}Content-Length: 3\r\n\r\nhi`,
    `${good}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n',
    `${good}X: a\rb\r\n\r\nhi`,
    `${good}X : a\r\n\r\nhi`,
    `${good}X: ${'y'.repeat(70_000)}\r\n\r\nhi`,
    'garbage\r\n\r\n',
    '\x16\x03\x01\x00\x05hello',
  ])
    test(JSON.stringify(answer.slice(0, 60)), async () => {
      said = answer
      const wire = await rig.inside(place)
      wire.write(ok)
      assert.equal(refusalOf(await wire.answer()), '502 destination-broken')
      said = fine
      wire.write(ok)
      assert.equal((await wire.answer()).body, 'hi')
      wire.destroy()
    })
  test('one that speaks as the gateway does not get through with that', async () => {
    said =
      'HTTP/1.1 407 Who\r\nProxy-Authenticate: Basic\r\nProxy-Status: x\r\nX-Sallyport-Error: x\r\nContent-Length: 0\r\n\r\n'
    const wire = await rig.inside(place)
    wire.write(ok)
    const answer = await wire.answer()
    assert.equal(answer.status, 407)
    assert.doesNotMatch(answer.head, /proxy-authenticate|proxy-status|x-sallyport-error/i)
    said = fine
    wire.destroy()
  })
  test('a second answer behind one is nobody’s', async () => {
    said = `${fine}HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison`
    const wire = await rig.inside(place)
    wire.write(ok)
    assert.equal((await wire.answer()).body, 'hi')
    said = fine
    wire.write(ok)
    assert.equal((await wire.answer()).body, 'hi')
    wire.destroy()
  })
})

suite('a connection to a destination', () => {
  test('is of one tunnel, so of one workload', async () => {
    const before = got.length
    const wires = await Promise.all(
      [shop, shop, other].map(async (as) => {
        const wire = await rig.inside(place, as)
        wire.write(head('GET /ok HTTP/1.1', `x-as: ${as}`))
        await wire.answer()
        wire.write(head('GET /ok HTTP/1.1', `x-as: ${as}`))
        await wire.answer()
        return wire
      }),
    )
    for (const wire of wires) wire.destroy()
    const texts = since(before)
    assert.equal(texts.length, 3)
    for (const text of texts) {
      const as = new Set([...text.matchAll(/x-as: (.*)/g)].map(([, who]) => who))
      assert.equal(as.size, 1)
      assert.equal(text.match(/GET \/ok/g)?.length, 2)
    }
  })
  test('is judged anew when another is made: a name that now leads inside is refused', async () => {
    rig.dns.set('moving.test', [{ type: 'A', address: '127.0.0.1', ttl: 0 }])
    const there = `moving.test:${port}`
    const get = `GET /ok HTTP/1.1\r\nHost: ${there}\r\n\r\n`
    const wire = await rig.inside(there)
    wire.write(get)
    assert.equal((await wire.answer()).status, 200)
    rig.dns.set('moving.test', [{ type: 'A', address: '169.254.169.254', ttl: 0 }])
    const last = got.at(-1)
    last?.socket.destroy()
    if (last) await once(last.socket, 'close')
    await sleep(50) // until the gateway has seen it too
    wire.write(get)
    assert.equal(refusalOf(await wire.answer()), '403 address-denied')
    wire.destroy()
  })
})

suite('who ends its side', () => {
  test('right behind its ClientHello has left: it is not waited for', async () => {
    const wire = await rig.dialProxy(shop)
    const request = head(`CONNECT ${place} HTTP/1.1`)
    wire.socket.end(request + helloOf('api.test').toString('latin1'), 'latin1')
    const decisionId = /x-sallyport-decision-id: (\S+)/.exec(await wire.end())?.[1] ?? ''
    const { problem, cause } = await rig.closedRecord(decisionId)
    assert.deepEqual([problem, cause], ['inspection-failed', 'the workload left in its handshake'])
  })
  test('right behind a request has left, as everywhere in HTTP/1.1: the tunnel ends', async () => {
    const wire = await rig.inside(place)
    wire.socket.end(ok)
    await wire.end()
    assert.equal((await rig.closedRecord(wire.decisionId)).egress?.closedBy, 'workload')
    await rig.requestRecord(wire.decisionId, '/ok')
  })
})

suite('who may no longer', () => {
  test('a quarantined workload is cut in the middle of a request', async () => {
    said = 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'
    const wire = await rig.inside(place)
    wire.write(ok)
    await wire.until(/half/)
    const added = await rig.quarantine.add({
      by: { kind: 'spiffe-id', spiffeId: shop } as never,
      reason: 'test',
      actor: 'tester',
    })
    assert.ok(added.ok)
    await wire.end()
    said = fine
    const record = await rig.requestRecord(wire.decisionId, '/ok')
    assert.equal(record.problem, 'quarantined')
    assert.equal((await rig.closedRecord(wire.decisionId)).problem, 'quarantined')
    await rig.quarantine.lift(added.value.entry.id)
  })
  test('the rules of a reload are those of the next request', async () => {
    const wire = await rig.inside(place)
    wire.write(ok)
    assert.equal((await wire.answer()).status, 200)
    await rig.reload(rules({ destinations: [] }))
    wire.write(ok)
    assert.equal(refusalOf(await wire.answer()), '403 destination-denied')
    // Not to be looked into any more is not to be let through any more.
    await rig.reload(rules({ destinations: [{ hosts: ['api.test'], ports: [port] }] }))
    wire.write(ok)
    assert.equal(refusalOf(await wire.answer()), '403 destination-denied')
    await rig.reload(rules())
    wire.write(ok)
    assert.equal((await wire.answer()).status, 200)
    wire.destroy()
  })
  test('whoever has moved the bytes of its day', async () => {
    const wire = await rig.inside(place)
    said = `HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`
    await rig.reload(rules({ limits: { maxBytesPerDay: 1_000_000 } }))
    wire.write(ok)
    const text = await wire.end()
    assert.ok(text.length < 1_400_000, `${text.length} bytes came`)
    said = fine
    const { answer } = await rig.connect(place)
    assert.equal(refusalOf(answer), '429 bytes-exceeded')
    await rig.reload(rules())
  })
  test('a tunnel ends with its life', async () => {
    await rig.reload(rules({ limits: { ...limits, tunnelSeconds: 1 } }))
    const wire = await rig.inside(place)
    await wire.end()
    assert.equal((await rig.closedRecord(wire.decisionId)).egress?.closedBy, 'life-over')
    await rig.reload(rules())
  })
})

test('nothing of this was a bug of ours, nor is anything left open', async () => {
  for (
    let i = 0;
    i < 200 && (rig.live.size() > 0 || got.some(({ socket }) => !socket.destroyed));
    i += 1
  )
    await sleep(20)
  assert.deepEqual(
    [rig.bugs, rig.live.size(), got.filter(({ socket }) => !socket.destroyed).length],
    [[], 0, 0],
  )
})
