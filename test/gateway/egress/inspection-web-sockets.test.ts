// WebSockets within inspected TLS: agreed to by a real server, cut and counted as all that goes out.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket, WebSocketServer } from 'ws'
import { secret } from '#contract/secret'
import { runDestination, runInspectionRig } from './inspection-rig.ts'
import { certificates, refusalOf, shop } from './rig.ts'

const certs = certificates()
const token = 'tok_live_0123456789'
const echo = new WebSocketServer({ noServer: true })
echo.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary }))
})
const destination = await runDestination(
  certs.outside('DNS:ws.test'),
  (_req, res) => void res.end(),
)
destination.server.on('upgrade', (req, socket, head) => {
  if (req.url === '/echoes')
    return void socket.end(
      `HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nx: ${token}\r\n\r\n`,
    )
  echo.handleUpgrade(req, socket, head, (ws) => echo.emit('connection', ws, req))
})
const rules = (limits: object = {}) => ({
  rules: [
    {
      id: 'shop',
      limits,
      destinations: [
        {
          hosts: ['ws.test'],
          ports: [destination.port],
          protocol: 'tls-inspected' as const,
          opens: ['127.0.0.0/8'],
          webSockets: true,
          paths: ['/chat', '/echoes'],
          credential: 'api',
        },
      ],
    },
  ],
  more: {
    credentials: { api: { kind: 'bearer' as const, token: secret(token), scanBytes: 65_536 } },
  },
})
const rig = await runInspectionRig(certs, ['ws.test'], rules())
rig.dns.set('ws.test', [{ type: 'A', address: '127.0.0.1' }])
const place = `ws.test:${destination.port}`

const handshake = (path: string) =>
  [
    `GET ${path} HTTP/1.1`,
    `Host: ${place}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    '',
    '',
  ].join('\r\n')
/** What is said to a handshake in a tunnel of its own. */
const said = async (path: string) => {
  const wire = await rig.inside(place)
  wire.write(handshake(path))
  const answer = refusalOf(await wire.answer())
  wire.destroy()
  return answer
}
const open = async () => {
  const { tls, decisionId } = await rig.tunnelTo(place)
  assert.ok(tls)
  await once(tls, 'secureConnect')
  const ws = new WebSocket(`wss://${place}/chat`, { createConnection: () => tls })
  await once(ws, 'open')
  return { ws, decisionId }
}

suite('a WebSocket within inspected TLS', () => {
  test('passes all that is said, both ways, and leaves its record', async () => {
    const { ws, decisionId } = await open()
    for (const message of ['a', 'x'.repeat(300_000)]) {
      const answer = once(ws, 'message')
      ws.send(message)
      assert.equal(String((await answer)[0]), message)
    }
    ws.close()
    const record = await rig.requestRecord(decisionId, '/chat')
    assert.deepEqual([record.door, record.status, record.problem], ['upgrade', 101, 'none'])
    assert.ok(record.bytesIn > 300_000 && record.bytesOut > 300_000)
  })
  test('to a path that is not listed', async () => {
    assert.equal(await said('/other'), '403 destination-denied')
  })
  test('whose answer holds the credential', async () => {
    assert.equal(await said('/echoes'), '502 credential-returned')
  })
  test('that shows it later is ended', async () => {
    const { ws, decisionId } = await open()
    const seen: string[] = []
    ws.on('message', (data) => seen.push((data as Buffer).toString()))
    const closed = once(ws, 'close')
    ws.send(`it is ${token}`)
    await closed
    assert.deepEqual(seen, [])
    assert.equal((await rig.requestRecord(decisionId, '/chat')).problem, 'credential-returned')
    rig.records.length = 0
  })
  test('of a workload that is cut off ends', async () => {
    const { ws } = await open()
    const closed = once(ws, 'close')
    const by = { kind: 'spiffe-id', spiffeId: shop } as const
    const added = await rig.quarantine.add({ by, reason: 'test', actor: 'tester' })
    await closed
    assert.ok(added.ok)
    await rig.quarantine.lift(added.value.entry.id)
  })
  test('that moves more than a day has is cut', async () => {
    await rig.reload(rules({ maxBytesPerDay: 2_000_000 }))
    const { ws, decisionId } = await open()
    const closed = once(ws, 'close')
    for (let i = 0; i < 30; i += 1) ws.send('x'.repeat(100_000))
    await closed
    const record = await rig.requestRecord(decisionId, '/chat')
    assert.equal(record.problem, 'bytes-exceeded')
    await rig.reload(rules())
  })
  test('gives its place back when it ends, and so does one that is refused', async () => {
    const nothingOpen = async () => {
      for (let i = 0; i < 500 && rig.live.size() > 0; i += 1) await sleep(10)
      assert.equal(rig.live.size(), 0)
    }
    await nothingOpen()
    await rig.reload(rules({ maxTunnels: 2 })) // the tunnel and what becomes of it
    for (let i = 0; i < 3; i += 1) {
      const { ws } = await open()
      ws.terminate()
      await nothingOpen()
      assert.equal(await said('/echoes'), '502 credential-returned')
      await nothingOpen()
    }
  })
})

test('nothing of this was a bug of ours', () => assert.deepEqual(rig.bugs, []))
