import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createSecureServer, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { request } from 'node:https'
import type { IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { h2Client } from '#test/http/h2-server/h2-edge'
import { ids, meshRig, openRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)

/** What the service says behind its body, by path. */
const given: Readonly<Record<string, Record<string, string | string[]>>> = {
  '/open/some': {
    'x-sum': ['1', '2'],
    'server-timing': 'db;dur=1',
    'set-cookie': 'session=stolen',
    'x-sallyport-problem': 'internal',
    'x-forwarded-for': '6.6.6.6',
    'www-authenticate': 'Basic',
    'cache-control': 'public',
  },
  '/open/empty': { 'x-sum': '1' },
  '/open/none': {},
  '/open/many': Object.fromEntries(Array.from({ length: 80 }, (_, i) => [`x-${i}`, '1'])),
}
const asked: IncomingHttpHeaders[] = []
const service = createSecureServer({
  ...(await rig.svidOf(ids.service)),
  ca: readFileSync(rig.svidFiles.bundleFile),
  requestCert: true,
  rejectUnauthorized: true,
})
service.on('stream', (stream: ServerHttp2Stream, headers) => {
  asked.push(headers)
  const path = String(headers[':path'])
  stream.on('error', () => {})
  stream.respond({ ':status': 200, 'content-type': 'text/plain' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers(given[path] ?? {}))
  stream.end(path === '/open/empty' ? undefined : 'body')
})
service.listen(0, '127.0.0.1')
await once(service, 'listening')
after(() => service.close())

const gateway = await rig.gateway('gateway', {
  upstreams: {
    service: {
      endpoints: [`https://127.0.0.1:${(service.address() as AddressInfo).port}`],
      spiffeId: ids.service,
      connectTimeoutMs: 20_000,
    },
  },
  routes: [openRoute('open', '/open')],
})
const session = h2Client(gateway.port, gateway.ca)
after(() => session.destroy())

const ask = (path: string, headers: Record<string, string> = {}) =>
  new Promise<{
    readonly head: IncomingHttpHeaders
    readonly text: string
    readonly trailers: object | undefined
    readonly code: number
  }>((resolve) => {
    const stream = session.request({ ':path': path, ':authority': 'localhost', ...headers })
    let head: IncomingHttpHeaders = {}
    let trailers: object | undefined
    let text = ''
    stream.on('response', (fields) => (head = fields))
    stream.on('trailers', (fields) => (trailers = Object.fromEntries(Object.entries(fields))))
    stream.on('error', () => {})
    stream.setEncoding('utf8').on('data', (part: string) => (text += part))
    stream.on('close', () => resolve({ head, text, trailers, code: stream.rstCode ?? 0 }))
  })
const te = { te: 'trailers' }

test('whoever keeps trailers gets those of the service, less what must not stand there', async () => {
  const { head, text, trailers } = await ask('/open/some', te)
  assert.deepEqual([head[':status'], text], [200, 'body'])
  assert.deepEqual(trailers, { 'x-sum': '1, 2', 'server-timing': 'db;dur=1' })
  for (const name of ['x-sum', 'set-cookie', 'x-sallyport-problem'])
    assert.equal(head[name], undefined)
  assert.equal(asked.at(-1)?.te, 'trailers')
})

test('also behind a body of no bytes; where there are none, the answer just ends', async () => {
  const empty = await ask('/open/empty', te)
  assert.deepEqual([empty.head[':status'], empty.text, empty.trailers], [200, '', { 'x-sum': '1' }])
  const none = await ask('/open/none', te)
  assert.deepEqual([none.text, none.trailers, none.code], ['body', undefined, 0])
})

test('whoever does not say so gets none, and the service is not told otherwise', async () => {
  const { head, text, trailers } = await ask('/open/some')
  assert.deepEqual([head[':status'], text, trailers], [200, 'body', undefined])
  assert.equal(asked.at(-1)?.te, undefined)
})

test('nor does anybody over HTTP/1.1, whatever it says', async () => {
  const req = request({
    host: '127.0.0.1',
    port: gateway.port,
    servername: 'localhost',
    ca: gateway.ca,
    path: '/open/some',
    agent: false,
    headers: { host: 'localhost', te: 'trailers', connection: 'te' },
  })
  req.end()
  const [res] = (await once(req, 'response')) as [IncomingMessage]
  res.resume()
  await once(res, 'end')
  assert.deepEqual([res.statusCode, res.rawTrailers], [200, []])
  assert.equal(asked.at(-1)?.te, undefined)
})

test('more than an answer may have are no whole answer', async () => {
  const { head, trailers, code } = await ask('/open/many', te)
  assert.equal(trailers, undefined)
  assert.ok(code !== 0 || Number(head[':status']) === 502) // part of it may have gone out before
  const { problem, cause } = await gateway.record(({ request }) => request?.path === '/open/many')
  assert.deepEqual([problem, cause], ['upstream-broken', 'more trailers than an answer may have'])
})
