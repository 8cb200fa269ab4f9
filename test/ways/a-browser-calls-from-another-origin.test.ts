import assert from 'node:assert/strict'
import { after, suite, test } from 'node:test'
import { askH2, h2Client } from '#test/http/h2-server/h2-edge'
import { eventually, meshRig, openRoute, tokenRoute } from './rig.ts'

const rig = await meshRig()
after(rig.close)
const seen: string[] = []
const service = await rig.service((req, res) => {
  seen.push(`${req.method} ${req.url}`)
  res.writeHead(200, {
    'access-control-allow-origin': 'https://evil.example',
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': 'x-secret',
    vary: 'accept',
    etag: '"1"',
  })
  res.end('whole')
})
const exchange = await rig.exchange()
const gateway = await rig.gateway('gateway', {
  exchangePort: exchange.exchange.port,
  upstreams: { service: { endpoints: [service.url], spiffeId: 'spiffe://mesh.test/service' } },
  routes: [
    tokenRoute('shop', '/shop', {
      cors: {
        origins: ['https://app.example', 'https://*.apps.example:8443'],
        exposedHeaders: ['etag'],
        credentials: true,
        maxAgeSeconds: 60,
      },
      limits: { route: { points: 40, windowSeconds: 3600 } },
    }),
    {
      ...openRoute('orders', '/orders'),
      match: { hosts: ['localhost'], path: { prefix: '/orders' }, methods: ['GET', 'DELETE'] },
      cors: { origins: ['https://app.example'], methods: ['GET'], headers: [] },
    },
    openRoute('public', '/public', { cors: { origins: ['*'] } }),
    openRoute('closed', '/closed'),
    openRoute('narrow', '/narrow', {
      cors: { origins: ['https://app.example'] },
      limits: { route: { points: 2, windowSeconds: 3600 } },
    }),
  ],
})
const preflight = (
  path: string,
  origin: string,
  method = 'GET',
  more: Record<string, string> = {},
) =>
  gateway.ask(path, {
    method: 'OPTIONS',
    headers: { origin, 'access-control-request-method': method, ...more },
  })
const told = (headers: NodeJS.Dict<string | string[]>) =>
  Object.fromEntries(
    Object.entries(headers).filter(
      ([name]) => name.startsWith('access-control-') || name === 'vary',
    ),
  )
const bearer = () => ({ authorization: `Bearer ${rig.token()}` })

suite('a preflight', () => {
  test('is answered by the gateway, of a stranger too, and recorded; the service hears nothing', async () => {
    const answer = await preflight('/shop/1', 'https://app.example', 'PUT', {
      'access-control-request-headers': 'authorization,content-type',
    })
    assert.deepEqual([answer.status, answer.text], [204, ''])
    assert.deepEqual(told(answer.headers), {
      vary: 'Origin',
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-credentials': 'true',
      'access-control-allow-methods': 'GET,HEAD,POST,PUT,PATCH,DELETE',
      'access-control-allow-headers': 'authorization,content-type',
      'access-control-max-age': '60',
      'access-control-expose-headers': 'etag',
    })
    const record = await gateway.record(
      ({ decisionId }) => decisionId === answer.headers['x-sallyport-decision-id'],
    )
    assert.deepEqual(
      [record.outcome, record.step, record.status, record.route?.id, record.request?.method],
      ['answered', 'none', 204, 'shop', 'OPTIONS'],
    )
    assert.ok(!seen.some((request) => request.startsWith('OPTIONS')))
  })

  const origins: readonly (readonly [origin: string, status: number])[] = [
    ['https://one.apps.example:8443', 204],
    ['https://apps.example:8443', 403],
    ['https://a.b.apps.example:8443', 403],
    ['https://one.apps.example', 403],
    ['http://one.apps.example:8443', 403],
    ['https://one.apps.example:84430', 403],
    ['https://app.example.evil.example', 403],
    ['https://evil.example/https://app.example', 403],
    ['https://xapp.example', 403],
    ['https://APP.example', 403],
    ['http://app.example', 403],
    ['null', 403],
  ]
  for (const [origin, status] of origins)
    test(`from ${origin}: ${status}`, async () => {
      const answer = await preflight('/shop/1', origin)
      assert.equal(answer.status, status)
      assert.equal(
        answer.headers['access-control-allow-origin'],
        status === 204 ? origin : undefined,
      )
      assert.equal(answer.headers['vary'], 'Origin')
      if (status === 403) assert.equal(answer.headers['x-sallyport-problem'], 'origin-refused')
    })

  test('names the methods of its own route, and no header where none may be set', async () => {
    const answer = await preflight('/orders/1', 'https://app.example')
    assert.equal(answer.headers['access-control-allow-methods'], 'GET')
    assert.equal(answer.headers['access-control-allow-headers'], undefined)
    assert.equal((await preflight('/orders/1', 'https://app.example', 'PUT')).status, 405)
  })

  test('of a route for everyone says so, to everyone alike', async () => {
    const answer = await preflight('/public/1', 'https://anyone.example')
    assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [204, '*'])
    assert.deepEqual(
      [answer.headers['vary'], answer.headers['access-control-allow-credentials']],
      [undefined, undefined],
    )
  })

  test('goes the way of every request where a route has no cors, and so does an OPTIONS that is none', async () => {
    seen.length = 0
    assert.equal((await preflight('/closed/1', 'https://app.example')).text, 'whole')
    assert.equal((await gateway.ask('/public/2', { method: 'OPTIONS' })).text, 'whole')
    assert.equal(
      (
        await gateway.ask('/public/3', {
          method: 'OPTIONS',
          headers: { origin: 'https://app.example' },
        })
      ).text,
      'whole',
    )
    assert.equal(
      (
        await gateway.ask('/shop/4', {
          method: 'OPTIONS',
          headers: { origin: 'https://app.example' },
        })
      ).status,
      401,
    )
    assert.deepEqual(seen, ['OPTIONS /closed/1', 'OPTIONS /public/2', 'OPTIONS /public/3'])
  })

  test('that is malformed is refused as ever', async () => {
    assert.equal((await preflight('/shop//1', 'https://app.example')).status, 400)
  })

  test('counts against the limits', async () => {
    assert.equal((await preflight('/narrow/1', 'https://app.example')).status, 204)
    assert.equal((await preflight('/narrow/1', 'https://app.example')).status, 204)
    const refused = await preflight('/narrow/1', 'https://app.example')
    assert.deepEqual(
      [refused.status, refused.headers['access-control-allow-origin']],
      [429, 'https://app.example'],
    )
  })

  test('over HTTP/2', async () => {
    const session = h2Client(gateway.port, gateway.ca)
    const answer = await askH2(session, {
      ':method': 'OPTIONS',
      ':path': '/shop/1',
      ':authority': 'localhost',
      origin: 'https://app.example',
      'access-control-request-method': 'GET',
    })
    assert.deepEqual(
      [answer.status, answer.headers['access-control-allow-origin']],
      [204, 'https://app.example'],
    )
    session.close()
  })

  test('is counted as answered', async () => {
    await eventually(
      async () =>
        /requests_total\{[^}]*route="shop"[^}]*outcome="answered",status_class="2xx"\} [1-9]/.test(
          await gateway.metrics(),
        ) || undefined,
    )
  })
})

suite('an answer', () => {
  test('says what the route says, and nothing of what the service said of origins', async () => {
    const answer = await gateway.ask('/shop/1', {
      headers: { origin: 'https://app.example', ...bearer() },
    })
    assert.equal(answer.status, 200)
    assert.deepEqual(told(answer.headers), {
      vary: 'accept, Origin',
      'access-control-allow-origin': 'https://app.example',
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': 'etag',
    })
  })

  test('to another origin, or to nobody in particular, only that it would differ', async () => {
    for (const headers of [{ origin: 'https://evil.example' }, {}]) {
      const answer = await gateway.ask('/shop/1', { headers: { ...headers, ...bearer() } })
      assert.equal(answer.status, 200)
      assert.deepEqual(told(answer.headers), { vary: 'accept, Origin' })
    }
  })

  test('that is a refusal can be read by the page, too', async () => {
    const answer = await gateway.ask('/shop/1', { headers: { origin: 'https://app.example' } })
    assert.deepEqual(
      [answer.status, answer.headers['access-control-allow-origin']],
      [401, 'https://app.example'],
    )
    assert.ok(answer.headers['www-authenticate'], 'what else it must carry is still there')
  })

  test("of a route without cors is the service's own", async () => {
    const answer = await gateway.ask('/closed/1', { headers: { origin: 'https://app.example' } })
    assert.equal(answer.headers['access-control-allow-origin'], 'https://evil.example')
  })
})
