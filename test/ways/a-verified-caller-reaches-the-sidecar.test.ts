import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:https'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:tls'
import { recordOf, runningMesh } from './running-mesh.ts'

const mesh = await runningMesh()
const ca = readFileSync(mesh.files.outsideRoot)
const alice = await mesh.issuer.tokenFor('alice')
const authorization = `Bearer ${alice}`

type Saw = {
  readonly saw: {
    readonly request: string
    readonly peerCertificate: string
    readonly callerToken: string
    readonly headers: Record<string, string>
    readonly bodyBytes: number
  }
}

const open = (path: string, options: { method?: string; headers?: Record<string, string> } = {}) =>
  request({
    host: '127.0.0.1',
    port: mesh.ports.ingress,
    servername: 'localhost',
    ca,
    path,
    headers: { host: 'localhost', authorization, ...options.headers },
    ...(options.method ? { method: options.method } : {}),
  })

const answerOf = async (req: ReturnType<typeof open>) => {
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  const chunks: Buffer[] = []
  for await (const chunk of res) chunks.push(chunk as Buffer)
  return {
    status: res.statusCode,
    headers: res.headers,
    text: Buffer.concat(chunks).toString('utf8'),
  }
}
const sawBy = (text: string) => (JSON.parse(text) as Saw).saw

test('the service sees the gateway as its peer and the caller in the minted token', async () => {
  const { status, text } = await answerOf(open('/orders/7?x=1').end())
  assert.equal(status, 200)
  const saw = sawBy(text)
  assert.equal(saw.request, 'GET /orders/7?x=1')
  assert.equal(saw.peerCertificate, 'spiffe://mesh.demo/sallyport/gateway')
  assert.equal(saw.callerToken, 'spiffe://mesh.demo/acme/people/alice')
})

test('no header of the caller reaches the service that says who somebody is, or is for the next hop alone', async () => {
  const { text } = await answerOf(
    open('/orders/7', {
      headers: {
        'x-forwarded-user': 'admin',
        'x-spiffe-id': 'spiffe://mesh.demo/admin',
        forwarded: 'for=1.2.3.4',
        'x-real-ip': '1.2.3.4',
        connection: 'keep-alive, x-custom',
        'x-custom': 'for the next hop',
        te: 'trailers',
        'x-kept': 'yes',
      },
    }).end(),
  )
  const { headers } = sawBy(text)
  for (const gone of ['x-forwarded-user', 'x-spiffe-id', 'x-real-ip', 'x-custom', 'te'])
    assert.equal(headers[gone], undefined, gone)
  assert.equal(headers['x-kept'], 'yes')
  assert.equal(headers['x-forwarded-for'], '127.0.0.1')
  assert.match(headers['forwarded'] ?? '', /^for=127\.0\.0\.1;/)
})

test('a body is streamed through, with and without an announced length', async () => {
  const chunk = Buffer.alloc(64 * 1024, 'x')
  for (const headers of [{ 'content-length': String(chunk.length * 16) }, {}] as Record<
    string,
    string
  >[]) {
    const req = open('/orders/upload', { method: 'POST', headers })
    const answer = answerOf(req)
    for (let i = 0; i < 16; i += 1) if (!req.write(chunk)) await once(req, 'drain')
    req.end()
    const { status, text } = await answer
    assert.equal(status, 200)
    assert.equal(sawBy(text).bodyBytes, chunk.length * 16)
  }
})

test('a body that is too large is refused, whether it says so or not', async () => {
  const announced = open('/orders/upload', {
    method: 'POST',
    headers: { 'content-length': String(20 * 1024 * 1024) },
  })
  announced.on('error', () => {})
  const first = answerOf(announced)
  announced.flushHeaders()
  assert.equal((await first).status, 413)
  announced.destroy()

  const endless = open('/orders/upload', { method: 'POST' })
  endless.on('error', () => {})
  const second = answerOf(endless)
  const chunk = Buffer.alloc(256 * 1024)
  // As fast as it is taken: what waits here in masses would come before the answer is looked at.
  const feed = setInterval(() => endless.writableNeedDrain || endless.write(chunk), 1)
  const { status, headers } = await second
  clearInterval(feed)
  endless.destroy()
  assert.equal(status, 413)
  assert.equal(headers['x-sallyport-problem'], 'body-too-large')
})

test('every request leaves one record, with all that was learned and no token', async () => {
  const { headers } = await answerOf(open('/billing/1').end())
  const record = await recordOf(
    mesh,
    ({ decisionId }) => decisionId === headers['x-sallyport-decision-id'],
  )
  assert.equal(record.outcome, 'refused')
  assert.equal(record.step, 'decision')
  assert.equal(record.problem, 'policy-denied')
  assert.deepEqual(record.route, { id: 'billing', team: 'finance' })
  assert.equal(record.spiffeId, 'spiffe://mesh.demo/acme/people/alice')
  assert.equal(record.caller?.issuer, 'demo')
  assert.deepEqual(
    record.policy?.reasons.map(({ code }) => code),
    ['role-missing'],
  )
  assert.equal(record.minted, undefined)
  const all =
    readFileSync(mesh.files.gatewayAudit, 'utf8') + readFileSync(mesh.files.exchangeAudit, 'utf8')
  for (const part of alice.split('.')) assert.ok(!all.includes(part), 'a token in a record')
})

test('an upgrade is refused and recorded', async () => {
  const req = open('/orders/7', { headers: { connection: 'Upgrade', upgrade: 'websocket' } })
  const { status, headers } = await answerOf(req.end())
  assert.equal(status, 400)
  assert.equal(headers['x-sallyport-problem'], 'upgrade-refused')
  const record = await recordOf(mesh, ({ door }) => door === 'upgrade')
  assert.deepEqual(
    [record.door, record.step, record.problem],
    ['upgrade', 'head', 'upgrade-refused'],
  )
})

test('a caller who leaves is recorded as gone, and nothing of it stays open', async () => {
  const req = open('/orders/slow?waitMs=20000')
  req.on('error', () => {})
  req.end()
  await new Promise((resolve) => setTimeout(resolve, 300))
  req.destroy()
  const record = await recordOf(mesh, ({ request: sent }) => sent?.path === '/orders/slow')
  assert.equal(record.problem, 'caller-gone')
  assert.equal(record.status, 499)
  const status = (await (await fetch(`http://127.0.0.1:${mesh.ports.admin}/status`)).json()) as {
    open: number
    upstreams: Record<string, { inFlight: number }>
  }
  assert.equal(status.open, 0)
  assert.equal(status.upstreams['orders']?.inFlight, 0)
})

test('what comes behind a request and is none ends it, and the record does not say that the caller left', async () => {
  const socket = connect({
    host: '127.0.0.1',
    port: mesh.ports.ingress,
    servername: 'localhost',
    ca,
  })
  await once(socket, 'secureConnect')
  const path = '/orders/before-garbage'
  socket.write(`GET ${path} HTTP/1.1\r\nhost: localhost\r\nauthorization: ${authorization}\r\n\r\n`)
  socket.write('garbage\r\n\r\n')
  let answered = ''
  for await (const chunk of socket) answered += String(chunk)
  assert.match(answered, /^HTTP\/1\.1 400 /)
  const record = await recordOf(mesh, ({ request }) => request?.path === path)
  assert.deepEqual([record.problem, record.status], ['request-malformed', 400])
})
