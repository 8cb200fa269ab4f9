import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import type { ClientHttp2Session } from 'node:http2'
import { after, suite, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from 'node:tls'
import { promisify } from 'node:util'
import { WebSocket, WebSocketServer } from 'ws'
import {
  data as dataFrame,
  headers as headersFrame,
  reset,
} from '#test/http/h2-client/scripted-peer'
import { askH2, h2Client } from '#test/http/h2-server/h2-edge'
import { block, rawCaller } from '#test/http/h2-server/raw-caller'
import { findTool, without } from '#test/tools'
import { startH2Load } from './h2-load.ts'
import { eventually, meshRig, openRoute, recordsIn, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const seen: { url: string; headers: NodeJS.Dict<string | string[]> }[] = []
const cancelled: string[] = []
const large = Buffer.alloc(6_000_000, 'large ')
const digest = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
const sockets = new WebSocketServer({ noServer: true })
sockets.on('connection', (socket) =>
  socket.on('message', (data) => socket.send((data as Buffer).toString())),
)

const service = await rig.service((req, res) => {
  const url = req.url ?? ''
  seen.push({ url, headers: req.headers })
  res.once('close', () => res.writableFinished || cancelled.push(url))
  if (url.endsWith('/never')) return
  if (url.endsWith('/large')) return void res.end(large)
  if (url.endsWith('/slow')) return void setTimeout(() => res.end('slow'), 1500)
  if (url.endsWith('/trailers')) {
    res.writeHead(200, {
      trailer: 'x-sum',
      'keep-alive': 'timeout=9',
      'set-cookie': ['a=1', 'b=2'],
    })
    res.addTrailers({ 'x-sum': '1' })
    return void res.end('with trailers')
  }
  if (url.endsWith('/upload')) {
    const hash = createHash('sha256')
    req.on('data', (chunk: Buffer) => {
      hash.update(chunk)
      req.pause()
      setTimeout(() => req.resume(), 1) // slower than it comes
    })
    return void req.on('end', () => res.end(hash.digest('hex')))
  }
  if (!url.endsWith('/events')) return void res.end('whole')
  res.writeHead(200, { 'content-type': 'text/event-stream' })
  const timer = setInterval(() => res.write('data: more\n\n'), 30)
  res.once('close', () => clearInterval(timer))
})
service.server.on('upgrade', (req, socket, head) =>
  sockets.handleUpgrade(req, socket, head, (ws) => sockets.emit('connection', ws, req)),
)
const exchange = await rig.exchange()
const upstreams = { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } }
const gateway = await rig.gateway('gateway', {
  exchangePort: exchange.exchange.port,
  upstreams,
  routes: [
    openRoute('open', '/open', { websocket: {}, totalTimeoutMs: 0 }),
    tokenRoute('mine', '/mine'),
  ],
})
const client = () => h2Client(gateway.port, gateway.ca)
const session = client()
after(() => session.close())
const bearer = (sub: string) => ({ authorization: `Bearer ${rig.token({ sub })}` })
const ask = (path: string, headers: Record<string, string> = {}) =>
  askH2(session, { ':path': path, ':authority': 'localhost', ...headers })
const recordOf = (path: string) => gateway.record(({ request }) => request?.path === path)

suite('the way in is the same', () => {
  test('for a caller with a token: what the service and the record see differs in the version alone', async () => {
    const one = await ask('/mine/two?a=b', bearer('ann'))
    const other = await gateway.ask('/mine/one?a=b', {
      headers: { host: 'localhost', ...bearer('ann') },
    })
    assert.deepEqual([one.status, one.text, other.status], [200, 'whole', 200])
    assert.deepEqual(
      Object.keys(one.headers)
        .filter((name) => !name.startsWith(':'))
        .sort(),
      Object.keys(other.headers)
        .filter((name) => name !== 'connection' && name !== 'keep-alive')
        .sort(),
    )
    const [two, first] = [await recordOf('/mine/two'), await recordOf('/mine/one')]
    assert.deepEqual([two.request?.protocol, first.request?.protocol], ['HTTP/2', 'HTTP/1.1'])
    assert.equal(two.decisionId, one.headers['x-sallyport-decision-id'])
    const plain = ({ outcome, step, route, spiffeId, upstream, policy, request }: typeof two) => ({
      outcome,
      step,
      route,
      spiffeId,
      upstream,
      policy,
      host: request?.host,
      tls: request?.tls,
    })
    assert.deepEqual(plain(two), plain(first))
    const sent = (url: string) => seen.find((request) => request.url === url)?.headers ?? {}
    const [over2, over1] = [sent('/mine/two?a=b'), sent('/mine/one?a=b')]
    assert.match(String(over2['via']), /^2 /)
    assert.match(String(over1['via']), /^1\.1 /)
    assert.deepEqual(Object.keys(over2).sort(), Object.keys(over1).sort())
    assert.equal(String(over2['authorization']).startsWith('Bearer '), true)
    assert.notEqual(over2['authorization'], bearer('ann').authorization)
  })

  test('for one without: refused as ever, and the connection goes on', async () => {
    const refused = await ask('/mine/stranger')
    assert.equal(refused.status, 401)
    assert.equal(refused.headers['x-sallyport-problem'], 'token-missing')
    assert.equal(refused.headers['connection'], undefined)
    assert.equal((await recordOf('/mine/stranger')).problem, 'token-missing')
    assert.equal((await ask('/nobody')).status, 404)
    assert.equal((await ask('/open/a')).status, 200)
  })

  test('reserved headers are gone, cookies are joined, hop-by-hop headers and trailers go no further', async () => {
    const stream = session.request({
      ':path': '/open/trailers',
      ':authority': 'localhost',
      'x-forwarded-for': '6.6.6.6',
      'x-spiffe-id': 'me',
      te: 'trailers',
      cookie: ['a=1', 'b=2'],
    })
    let hasTrailers = false
    stream.on('trailers', () => (hasTrailers = true))
    const [got] = (await once(stream, 'response')) as [Record<string, unknown>]
    stream.resume()
    await once(stream, 'close')
    assert.deepEqual(got['set-cookie'], ['a=1', 'b=2'])
    assert.deepEqual(
      [got['keep-alive'], got['trailer'], hasTrailers],
      [undefined, undefined, false],
    )
    const sent = seen.find(({ url }) => url === '/open/trailers')?.headers ?? {}
    assert.deepEqual(
      [sent['cookie'], sent['x-spiffe-id'], sent['te']],
      ['a=1; b=2', undefined, undefined],
    )
    assert.equal(sent['x-forwarded-for'], '127.0.0.1')
  })

  test('curl', without({ curl: findTool('curl') }), async () => {
    const ca = rig.save('edge-ca.pem', gateway.ca)
    const { stdout } = await promisify(execFile)('curl', [
      '-sS',
      '--http2',
      '--cacert',
      ca,
      '--resolve',
      `localhost:${gateway.port}:127.0.0.1`,
      '-H',
      'content-type: text/plain',
      '--data-binary',
      'hello',
      '-w',
      ' %{http_version} %{http_code}',
      `https://localhost:${gateway.port}/open/upload`,
    ])
    assert.equal(stdout, `${digest('hello')} 2 200`)
  })
})

suite('bodies', () => {
  test('a large answer arrives whole, two at a time', async () => {
    const answers = await Promise.all([ask('/open/large'), ask('/open/large')])
    for (const { text } of answers) assert.equal(digest(text), digest(large))
  })

  test('a large upload reaches a service that reads slowly, whole', async () => {
    const { text } = await askH2(
      session,
      { ':path': '/open/upload', ':authority': 'localhost', ':method': 'POST' },
      large.subarray(0, 2_000_000),
    )
    assert.equal(text, digest(large.subarray(0, 2_000_000)))
  })

  test('half an upload is no upload to the service, and its record says who left', async () => {
    const path = '/open/half/upload'
    const caller = await rawCaller(gateway.port, { ca: gateway.ca })
    caller.send(
      headersFrame(1, block({ ':method': 'POST', ':path': path })),
      dataFrame(1, 'half', false),
    )
    await eventually(() => seen.find(({ url }) => url === path))
    caller.send(reset(1, 8))
    assert.equal((await recordOf(path)).problem, 'caller-gone')
    await eventually(() => cancelled.includes(path) || undefined)
    caller.destroy()
  })

  test('a caller that cancels cancels at the service', async () => {
    const stream = session.request({ ':path': '/open/cancel/never', ':authority': 'localhost' })
    stream.on('error', () => {})
    await eventually(() => seen.find(({ url }) => url === '/open/cancel/never'))
    stream.close(8)
    await eventually(() => cancelled.includes('/open/cancel/never') || undefined)
    assert.equal((await recordOf('/open/cancel/never')).problem, 'caller-gone')
  })
})

test('WebSocket stays with HTTP/1.1: not announced, refused, and offered beside it', async () => {
  assert.equal(session.remoteSettings.enableConnectProtocol, false)
  const caller = await rawCaller(gateway.port, { ca: gateway.ca })
  caller.send(
    headersFrame(1, block({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/open/ws' })),
  )
  assert.equal(await caller.reset(1), 1)
  caller.destroy()
  const ws = new WebSocket(`wss://localhost:${gateway.port}/open/ws`, { ca: gateway.ca })
  await once(ws, 'open')
  ws.send('echo')
  assert.equal(String((await once(ws, 'message'))[0]), 'echo')
  ws.close()
})

test('a rapid reset is ended, counted and recorded, and nobody else notices', async () => {
  const caller = await rawCaller(gateway.port, { ca: gateway.ca })
  const flood = block({ ':path': '/open/flood' })
  for (let id = 1; id < 4000; id += 2) caller.send(headersFrame(id, flood, true), reset(id, 8))
  await caller.ended()
  const { outcome, step, request, status } = await gateway.record(
    ({ problem }) => problem === 'connection-abused',
  )
  assert.deepEqual(
    [outcome, step, status, request?.address, request?.protocol],
    ['refused', 'connection', 400, '127.0.0.1', 'HTTP/2'],
  )
  assert.match(
    await gateway.metrics(),
    /turned_away_total\{direction="ingress",reason="http2-connection"\} 1/,
  )
  assert.equal((await ask('/open/a')).status, 200)
})

test('a quarantine cuts what one caller has open, and on the same and other connections nothing else', async () => {
  const events = async (of: ClientHttp2Session, sub: string) => {
    const stream = of.request({
      ':path': '/mine/events',
      ':authority': 'localhost',
      ...bearer(sub),
    })
    let count = 0
    stream.on('data', () => (count += 1)).on('error', () => {})
    const [answer] = (await once(stream, 'response')) as [Record<string, unknown>]
    assert.equal(answer[':status'], 200)
    return { stream, count: () => count }
  }
  const shared = client()
  const other = client()
  const anns = [await events(shared, 'ann'), await events(shared, 'ann')]
  const bens = [await events(shared, 'ben'), await events(other, 'ben')]
  const cut = Promise.all(anns.map(({ stream }) => once(stream, 'close')))
  const ordered = await fetch(`http://127.0.0.1:${gateway.admin.port}/quarantine`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      by: { kind: 'subject', subject: 'ann', issuer: 'outside' },
      reason: 'test',
      actor: 'tester',
    }),
  })
  assert.equal(ordered.status, 201, await ordered.text())
  await cut
  const again = await askH2(shared, {
    ':path': '/mine/again',
    ':authority': 'localhost',
    ...bearer('ann'),
  })
  assert.deepEqual([again.status, again.headers['x-sallyport-problem']], [403, 'quarantined'])
  const counts = bens.map(({ count }) => count())
  await eventually(() => bens.every(({ count }, i) => count() > (counts[i] ?? 0) + 3) || undefined)
  const records = await eventually(() => {
    const found = gateway
      .records()
      .filter(
        ({ request, problem }) => request?.path === '/mine/events' && problem === 'quarantined',
      )
    return found.length === 2 ? found : undefined
  })
  assert.deepEqual(
    records.map(({ outcome }) => outcome),
    ['refused', 'refused'],
  )
  for (const each of [shared, other]) each.destroy()
})

test('where it is not offered, HTTP/1.1 is chosen', async () => {
  const without2 = await rig.gateway('without', {
    upstreams,
    routes: [openRoute('open', '/open')],
    listeners: { ingress: { http2: { offered: false } } },
  })
  const socket = connect({
    host: '127.0.0.1',
    port: without2.port,
    servername: 'localhost',
    ca: without2.ca,
    ALPNProtocols: ['h2', 'http/1.1'],
  })
  await once(socket, 'secureConnect')
  assert.equal(socket.alpnProtocol, 'http/1.1')
  socket.destroy()
})

test('reloads and a drain under load lose no request', async () => {
  const given = {
    upstreams,
    routes: [openRoute('open', '/open')],
    drainDelaySeconds: 1,
    drainSeconds: 3,
  }
  const loaded = await rig.gatewayProcess('loaded', given)
  const load = startH2Load({
    port: loaded.port,
    ca: loaded.ca,
    path: '/open/1',
    callers: 12,
    pauseMs: 5,
    headers: { ':authority': 'localhost' },
  })
  for (let i = 0; i < 2; i += 1) {
    const before = (await loaded.status()).config.loads
    loaded.write({ ...given, routes: [...given.routes, openRoute(`new-${i}`, `/new/${i}`)] })
    loaded.hangUp()
    await eventually(async () => (await loaded.status()).config.loads > before || undefined)
    await sleep(200)
  }
  const slow = h2Client(loaded.port, loaded.ca)
  const slowest = askH2(slow, { ':path': '/open/slow', ':authority': 'localhost' })
  const never = askH2(slow, { ':path': '/open/never', ':authority': 'localhost' })
  await eventually(() => seen.find(({ url }) => url === '/open/never'))
  await loaded.stop()
  assert.equal((await slowest).text, 'slow')
  assert.equal((await never).headers['x-sallyport-problem'], 'draining')
  await load.stop()
  assert.deepEqual(load.lost, [])
  assert.deepEqual(Object.keys(load.statuses), ['200'])
  assert.ok(load.refused() > 0, 'it ended before the gateway did')
  const records = recordsIn(loaded.auditFile).filter(({ request }) => request?.path === '/open/1')
  assert.equal(records.length, load.answered())
  console.log(
    `  ${load.answered()} requests around 2 reloads and a drain, ${load.sentAgain()} sent again`,
  )
})
