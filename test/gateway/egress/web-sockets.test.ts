// WebSockets that are asked of the proxy by an absolute URL, with a real server behind it and a real client before it.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer as createHttp, type IncomingMessage, type Server } from 'node:http'
import { createServer as createHttps } from 'node:https'
import { createServer, type AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { after, suite, test } from 'node:test'
import { WebSocket, WebSocketServer } from 'ws'
import { secret } from '#contract/secret'
import { certificates, refusalOf, runRig, shop } from './rig.ts'

const certs = certificates()
const token = 'tok_live_0123456789'
const handshakes: NodeJS.Dict<string | string[]>[] = []
const echo = new WebSocketServer({ noServer: true })
echo.on('connection', (socket) => {
  socket.send('hello')
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
const onUpgrade = (req: IncomingMessage, socket: Duplex, head: Buffer) => {
  handshakes.push(req.headers)
  if (req.url === '/no') return void socket.end('HTTP/1.1 403 No\r\ncontent-length: 4\r\n\r\nnope')
  if (req.url === '/echoes')
    return void socket.end(
      `HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nx: ${token}\r\n\r\n`,
    )
  echo.handleUpgrade(req, socket, head, (ws) => echo.emit('connection', ws, req))
}
const listening = async (server: Server) => {
  server.on('upgrade', onUpgrade)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  after(() => server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}
const plain = await listening(createHttp())
const { pem, keyPem } = certs.outside('DNS:ws.lan, DNS:key.lan')
const secured = await listening(createHttps({ cert: pem, key: keyPem }))
const liar = createServer((socket) =>
  socket
    .on('error', () => {})
    .once('data', () =>
      socket.end(
        'HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: x\r\n\r\n',
      ),
    ),
)
await once(liar.listen(0, '127.0.0.1'), 'listening')
const liarPort = (liar.address() as AddressInfo).port
after(() => {
  liar.close()
  for (const socket of echo.clients) socket.terminate()
})

const opens = ['127.0.0.0/8']
const rig = await runRig(certs, {
  rules: [
    {
      id: 'shop',
      destinations: [
        { hosts: ['ws.lan'], protocol: 'http', ports: [plain, liarPort], opens, webSockets: true },
        { hosts: ['ws.lan'], protocol: 'https', ports: [secured], opens, webSockets: true },
        {
          hosts: ['key.lan'],
          protocol: 'https',
          ports: [secured],
          opens,
          webSockets: true,
          paths: ['/chat', '/echoes'],
          credential: 'key',
        },
        { hosts: ['none.lan'], protocol: 'http', ports: [plain], opens },
      ],
    },
  ],
  more: {
    credentials: { key: { kind: 'bearer', token: secret(token), scanBytes: 65_536 } },
  },
})
for (const name of ['ws.lan', 'key.lan', 'none.lan'])
  rig.dns.set(name, [{ type: 'A', address: '127.0.0.1' }])

/** A client of ws, whose request is for an absolute URL. */
const open = async (url: string) => {
  const { socket } = await rig.dialProxy(shop)
  socket.removeAllListeners('data')
  const { host, pathname } = new URL(url)
  const ws = new WebSocket(`ws://${host}${pathname}`, {
    createConnection: () => socket,
    finishRequest: (request) => {
      request.path = url
      request.end()
    },
  })
  const first = once(ws, 'message')
  await once(ws, 'open')
  assert.equal(String((await first)[0]), 'hello')
  return ws
}
const head = (url: string, ...more: readonly string[]) =>
  [
    `GET ${url} HTTP/1.1`,
    `Host: ${new URL(url).host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    ...more,
    '',
    '',
  ].join('\r\n')
const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
const ask = async (text: string) => {
  const wire = await rig.dialProxy(shop)
  wire.write(text)
  const answer = await wire.answer()
  wire.destroy()
  return answer
}

suite('a WebSocket', () => {
  for (const [how, url] of [
    ['over plain HTTP', `http://ws.lan:${plain}/chat`],
    ['over TLS that the proxy makes', `http://ws.lan:${secured}/chat`],
    ['asked for with https://', `https://ws.lan:${secured}/chat`],
  ] as const)
    test(`${how} passes all that is said, both ways, and leaves two records`, async () => {
      rig.records.length = 0
      const ws = await open(url)
      for (const message of ['a', 'x'.repeat(300_000)]) {
        const answer = once(ws, 'message')
        ws.send(message)
        assert.equal(String((await answer)[0]), message)
      }
      assert.equal(rig.tunnels(), 1)
      ws.close()
      const closed = await rig.recordOf(({ egress }) => egress?.phase === 'closed')
      const opened = await rig.recordOf(({ egress }) => egress?.phase === 'opened')
      assert.equal(closed.decisionId, opened.decisionId)
      assert.deepEqual([closed.door, closed.status, closed.problem], ['upgrade', 101, 'none'])
      assert.ok(closed.bytesIn > 300_000 && closed.bytesOut > 300_000)
      assert.equal(closed.request?.path, '/chat')
    })
  test('gets what the rule adds', async () => {
    handshakes.length = 0
    const ws = await open(`http://key.lan:${secured}/chat`)
    ws.terminate()
    assert.equal(handshakes[0]?.['authorization'], `Bearer ${token}`)
    assert.equal(handshakes[0]?.['sec-websocket-extensions'], undefined)
  })
  test('that shows the credential is ended, and its record says so', async () => {
    rig.records.length = 0
    const ws = await open(`http://key.lan:${secured}/chat`)
    const seen: string[] = []
    ws.on('message', (data) => seen.push((data as Buffer).toString()))
    ws.send('what ends in t')
    await once(ws, 'message')
    const closed = once(ws, 'close')
    ws.send(`it is ${token}`)
    await closed
    assert.deepEqual(seen, ['what ends in t'])
    const record = await rig.recordOf(({ egress }) => egress?.closedBy === 'refused')
    assert.deepEqual(
      [record.problem, record.outcome, record.status, record.egress?.closedBy],
      ['credential-returned', 'failed', 101, 'refused'],
    )
    assert.ok(!JSON.stringify(rig.records).includes(token))
  })
  test('of a workload that is cut off ends', async () => {
    const ws = await open(`http://ws.lan:${plain}/chat`)
    const closed = once(ws, 'close')
    const by = { kind: 'spiffe-id', spiffeId: shop } as const
    const added = await rig.quarantine.add({ by, reason: 'test', actor: 'tester' })
    await closed
    assert.ok(added.ok)
    await rig.quarantine.lift(added.value.entry.id)
  })
})

suite('a handshake', () => {
  test('that the destination refuses gets its answer', async () => {
    const { status, body } = await ask(head(`http://ws.lan:${plain}/no`, key))
    assert.deepEqual([status, body], [403, 'nope'])
  })
  for (const [what, text, refusal] of [
    ['where the rule offers none', head(`http://none.lan:${plain}/`, key), '400 upgrade-refused'],
    [
      'to a path that is not listed',
      head(`http://key.lan:${secured}/x`, key),
      '403 destination-denied',
    ],
    ['without a key', head(`http://ws.lan:${plain}/`), '400 upgrade-refused'],
    [
      'with data behind it',
      `${head(`http://ws.lan:${plain}/`, key)}\x81\x80`,
      '400 upgrade-refused',
    ],
    [
      'that is no WebSocket',
      head(`http://ws.lan:${plain}/`, key).replace('Upgrade: websocket', 'Upgrade: h2c'),
      '400 upgrade-refused',
    ],
    [
      'that is answered without its key',
      head(`http://ws.lan:${liarPort}/`, key),
      '502 destination-broken',
    ],
    [
      'that is answered with the credential',
      head(`http://key.lan:${secured}/echoes`, key),
      '502 credential-returned',
    ],
  ] as const)
    test(`${what}: ${refusal}`, async () => {
      assert.equal(refusalOf(await ask(text)), refusal)
    })
})
