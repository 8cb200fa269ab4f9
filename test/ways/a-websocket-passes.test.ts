import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { after, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type TLSSocket } from 'node:tls'
import { WebSocket, WebSocketServer, type ClientOptions, type RawData } from 'ws'
import { eventually, meshRig, openRoute, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)

const handshakes: IncomingMessage[] = []
const sockets = new WebSocketServer({
  noServer: true,
  handleProtocols: (protocols) => (protocols.has('chat.v2') ? 'chat.v2' : false),
})
/** What the service's end of each connection does, by its path. */
sockets.on('connection', (socket, request) => {
  socket.on('error', () => {})
  if (request.url?.startsWith('/ws/deaf')) return request.socket.pause()
  if (request.url?.startsWith('/ws/flood')) return flood(socket)
  socket.on('message', (data: RawData, isBinary) =>
    socket.send(data as Buffer, { binary: isBinary }),
  )
})
const flood = (socket: WebSocket) => {
  const chunk = Buffer.alloc(64 * 1024)
  const more = () => {
    if (socket.readyState === WebSocket.OPEN) socket.send(chunk, () => setImmediate(more))
  }
  more()
}
const service = await rig.service((req, res) => {
  if (req.url?.includes('slow')) return void setTimeout(() => res.end('late'), 300)
  res.writeHead(req.url?.includes('missing') ? 404 : 200, { 'x-service': 'yes' })
  res.end(`answered ${req.url}`)
})
service.server.on('upgrade', (req, socket, head) => {
  handshakes.push(req)
  const refusal = /refuse=(\d+)/.exec(req.url ?? '')?.[1]
  if (refusal !== undefined) {
    socket.end(
      `HTTP/1.1 ${refusal} No\r\nx-why: not today\r\nx-sallyport-fake: 1\r\ncontent-length: 5\r\n\r\nsorry`,
    )
    return
  }
  if (req.url?.includes('wrong-accept')) {
    socket.write(
      'HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: bm8=\r\n\r\n',
    )
    return
  }
  if (req.url?.includes('late')) {
    setTimeout(() => accept(req, socket, head), 200)
    return
  }
  if (req.url?.includes('never')) return
  accept(req, socket, head)
})
const accept: (
  ...given: Parameters<WebSocketServer['handleUpgrade']> extends [
    infer R,
    infer S,
    infer H,
    ...infer _,
  ]
    ? [R, S, H]
    : never
) => void = (req, socket, head) =>
  sockets.handleUpgrade(req, socket, head, (ws) => sockets.emit('connection', ws, req))

const exchange = await rig.exchange()
const gateway = await rig.gateway('gateway', {
  exchangePort: exchange.exchange.port,
  upstreams: {
    service: {
      endpoints: [service.url],
      spiffeId: 'spiffe://mesh.test/service',
      headersTimeoutMs: 1000,
    },
  },
  routes: [
    openRoute('ws', '/ws', { websocket: {} }),
    openRoute('idle', '/ws/idle', { websocket: { idleTimeoutMs: 1500 } }),
    openRoute('deaf', '/ws/deaf', { websocket: { idleTimeoutMs: 3000 } }),
    openRoute('plain', '/plain'),
    tokenRoute('mine', '/mine', { websocket: {} }),
    tokenRoute('mine-on', '/mine/on', { websocket: {}, whenTokenExpires: 'letFinish' }),
  ],
})

const open = (path: string, options: ClientOptions = {}, protocols: string[] = []) => {
  const ws = new WebSocket(`wss://localhost:${gateway.port}${path}`, protocols, {
    ca: gateway.ca,
    headers: { host: 'localhost' },
    ...options,
  })
  ws.on('error', () => {})
  return ws
}
const opened = async (...given: Parameters<typeof open>) => {
  const ws = open(...given)
  await once(ws, 'open')
  return ws
}
const echoed = async (ws: WebSocket, text: string) => {
  const closed = once(ws, 'close').then(() => ['closed'])
  const answer = Promise.race([once(ws, 'message'), closed])
  ws.send(text)
  return String((await answer)[0])
}
const refusal = async (ws: WebSocket) => {
  const [, res] = (await once(ws, 'unexpected-response')) as [unknown, IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return { status: res.statusCode, headers: res.headers, text: Buffer.concat(chunks).toString() }
}
/** A handshake on a bare TLS connection, for what no client would do. */
const raw = async (): Promise<TLSSocket> => {
  const socket = connect({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
  })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  return socket
}
const handshake = (path: string, more = '') =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n${more}\r\n`
const readAll = async (socket: TLSSocket): Promise<string> => {
  let text = ''
  socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')))
  if (!socket.closed) await once(socket, 'close')
  return text
}

test('messages pass both ways, with every header and subprotocol of the handshake', async () => {
  const ws = await opened(
    '/ws/echo?x=1',
    { headers: { host: 'localhost', 'x-custom': 'kept', cookie: 'a=b' } },
    ['chat.v1', 'chat.v2'],
  )
  assert.equal(ws.protocol, 'chat.v2')
  assert.equal(await echoed(ws, 'hello'), 'hello')
  const big = 'x'.repeat(1_000_000)
  assert.equal(await echoed(ws, big), big)
  const seen = handshakes.at(-1)
  assert.equal(seen?.url, '/ws/echo?x=1')
  assert.equal(seen.headers['sec-websocket-protocol'], 'chat.v1,chat.v2')
  assert.equal(seen.headers['x-custom'], 'kept')
  assert.equal(seen.headers['cookie'], 'a=b')
  assert.equal(seen.headers['x-forwarded-for'], '127.0.0.1')
  assert.match(String(seen.headers['sec-websocket-extensions']), /permessage-deflate/)
  ws.close()
  await once(ws, 'close')

  const record = await gateway.record(({ request }) => request?.path === '/ws/echo')
  assert.deepEqual(
    [record.door, record.status, record.outcome, record.problem],
    ['upgrade', 101, 'forwarded', 'none'],
  )
  assert.ok(record.bytesIn > 1000 && record.bytesOut > 1000, `${record.bytesIn} ${record.bytesOut}`)
})

test('the caller gets its 101 only after that of the service, and bytes right behind it', async () => {
  const began = performance.now()
  const ws = await opened('/ws/late')
  assert.ok(performance.now() - began >= 190)
  assert.equal(await echoed(ws, 'on time'), 'on time')
  ws.terminate()
})

test('an answer that is no 101 goes to the caller as it is, and closes the connection', async () => {
  const answer = await refusal(open('/ws/x?refuse=503'))
  assert.equal(answer.status, 503)
  assert.equal(answer.text, 'sorry')
  assert.equal(answer.headers['x-why'], 'not today')
  assert.equal(answer.headers['x-sallyport-fake'], undefined)
  assert.equal(answer.headers['connection'], 'close')
  const record = await gateway.record(
    ({ decisionId }) => decisionId === answer.headers['x-sallyport-decision-id'],
  )
  assert.deepEqual([record.status, record.outcome, record.bytesOut], [503, 'forwarded', 5])
})

for (const [what, path, more, tag] of [
  ['on a route that does not offer it', '/plain', '', 'upgrade-refused'],
  ['to something else', '/ws', 'Upgrade: h2c\r\n', 'header-repeated'],
  ['without a token where one is needed', '/mine', '', 'token-missing'],
  ['by a path that two programs could read differently', '/ws/%2e%2e/plain', '', 'path-invalid'],
  ['with a body', '/ws', 'Content-Length: 3\r\n', 'request-malformed'],
] as const)
  test(`an upgrade ${what} is refused with ${tag}`, async () => {
    const socket = await raw()
    socket.write(handshake(path, more))
    const text = await readAll(socket)
    assert.match(text, new RegExp(`x-sallyport-problem: ${tag}`))
    assert.ok(text.startsWith('HTTP/1.1 4'), text)
  })

test('a handshake without a proper key is refused before the service hears of it', async () => {
  const before = handshakes.length
  const socket = await raw()
  socket.write(handshake('/ws').replace('dGhlIHNhbXBsZSBub25jZQ==', 'short'))
  assert.match(await readAll(socket), /x-sallyport-problem: upgrade-refused/)
  assert.equal(handshakes.length, before)
})

test('data behind the handshake is refused, in the same packet and later', async () => {
  const same = await raw()
  same.write(`${handshake('/ws')}GET /plain HTTP/1.1\r\n`)
  assert.match(await readAll(same), /x-sallyport-problem: upgrade-refused/)
  const later = await raw()
  later.write(handshake('/ws/late'))
  await sleep(60)
  later.write('too early')
  const text = await readAll(later)
  assert.match(text, /x-sallyport-problem: upgrade-refused/)
  assert.ok(!text.includes(' 101 '))
})

test('a handshake right behind a request that is not answered yet gets nothing, nor does its service', async () => {
  const before = handshakes.length
  const socket = await raw()
  socket.write(`GET /plain/slow HTTP/1.1\r\nHost: localhost\r\n\r\n${handshake('/ws')}`)
  assert.ok(!(await readAll(socket)).includes(' 101 '))
  assert.equal(handshakes.length, before)
})

test('a 101 that does not answer the key is a broken service', async () => {
  const answer = await refusal(open('/ws/wrong-accept'))
  assert.equal(answer.status, 502)
  assert.equal(answer.headers['x-sallyport-problem'], 'upstream-broken')
})

test('a service that never answers is a timeout', async () => {
  const answer = await refusal(open('/ws/never'))
  assert.equal(answer.headers['x-sallyport-problem'], 'upstream-timeout')
})

test('a caller that leaves during the handshake takes the service along, and is recorded', async () => {
  const socket = await raw()
  socket.write(handshake('/ws/never?gone'))
  await eventually(() => handshakes.some(({ url }) => url === '/ws/never?gone') || undefined)
  socket.end()
  const record = await gateway.record(
    ({ request, problem }) => request?.path === '/ws/never' && problem === 'caller-gone',
  )
  assert.equal(record.door, 'upgrade')
})

test('one on which nothing moves is ended, one that is used is not', async () => {
  const used = await opened('/ws/idle/used')
  const silent = await opened('/ws/idle/silent')
  const closed = once(silent, 'close')
  for (let i = 0; i < 5; i += 1) {
    await sleep(400)
    assert.equal(await echoed(used, 'still here'), 'still here')
  }
  await closed
  assert.equal(used.readyState, WebSocket.OPEN)
  used.terminate()
  const record = await gateway.record(({ request }) => request?.path === '/ws/idle/silent')
  assert.deepEqual([record.problem, record.status], ['connection-idle', 101])
})

test('memory stays flat when the service does not read, and the caller is held back', async () => {
  const socket = await raw()
  socket.write(handshake('/ws/deaf'))
  await once(socket, 'data')
  const before = process.memoryUsage().rss
  const chunk = Buffer.alloc(64 * 1024)
  const wantedBytes = 200 * 1024 * 1024
  // Only so much at a time as is taken, so that what is held is held on the way.
  while (socket.bytesWritten < wantedBytes) {
    if (socket.write(chunk)) continue
    const goesOn = await Promise.race([once(socket, 'drain').then(() => true), sleep(1000)])
    if (goesOn !== true) break
  }
  const taken = socket.bytesWritten - socket.writableLength
  const held = process.memoryUsage().rss - before
  console.log(`  taken of 200 MiB: ${mebibytes(taken)} MiB, grown by ${mebibytes(held)} MiB`)
  assert.ok(taken < 32 * 1024 * 1024, `${taken} bytes were taken`)
  assert.ok(held < 64 * 1024 * 1024, `${held} bytes are held`)
  socket.destroy()
  await eventually(async () => (await gateway.status()).open === 0 || undefined)
})
const mebibytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1)

test('a caller that does not read holds the service back', async () => {
  const ws = await opened('/ws/flood')
  ;(ws as unknown as { _socket: TLSSocket })._socket.pause()
  await sleep(300)
  const before = process.memoryUsage().rss
  await sleep(700)
  assert.ok(process.memoryUsage().rss - before < 48 * 1024 * 1024)
  ws.terminate()
  await eventually(async () => (await gateway.status()).open === 0 || undefined)
})

test('ends with the token of its caller, unless the route lets it finish', async () => {
  // The exchange is reached, before a token's short life begins.
  const early = { host: 'localhost', authorization: `Bearer ${rig.token({}, 60)}` }
  await eventually(() =>
    opened('/mine/on', { headers: early }).then(
      (socket) => (socket.terminate(), true),
      () => undefined,
    ),
  )
  const headers = { host: 'localhost', authorization: `Bearer ${rig.token({}, 3)}` }
  const [cut, goesOn] = await Promise.all([
    opened('/mine/cut', { headers }),
    opened('/mine/on', { headers }),
  ])
  assert.equal(handshakes.at(-1)?.headers['authorization']?.includes(headers.authorization), false)
  await once(cut, 'close')
  assert.equal(await echoed(goesOn, 'still here'), 'still here')
  goesOn.terminate()
  const record = await gateway.record(({ request }) => request?.path === '/mine/cut')
  assert.deepEqual(
    [record.problem, record.status, record.spiffeId],
    ['token-expired', 101, 'spiffe://mesh.test/people/alice'],
  )
})

test('the table of what is open is empty in the end, and each handshake left one record', async () => {
  await eventually(async () => (await gateway.status()).open === 0 || undefined)
  const { upstreams } = await gateway.status()
  assert.equal(upstreams['service']?.inFlight, 0)
  const byDoor = gateway.records().filter(({ door }) => door === 'upgrade')
  assert.equal(new Set(byDoor.map(({ decisionId }) => decisionId)).size, byDoor.length)
  assert.ok(byDoor.length >= 18, `${byDoor.length}`)
})
